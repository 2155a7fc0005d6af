std = "lua54"
max_line_length = 132
files["tests/lua"] = { std = "+busted" }
files["tests/libraries"] = { max_line_length = 170, ignore = { "431" } } -- what runs in another state requires what it uses
