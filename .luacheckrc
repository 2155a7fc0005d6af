std = "lua54"
max_line_length = 132
files["tests/lua"] = { std = "+busted" }
