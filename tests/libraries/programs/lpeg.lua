-- LPeg: patterns whose functions wait in the middle of a match.
local lpeg = require "lpeg"

return {
  library = "LPeg", what = "grammars; functions of captures and Cmt that wait, re.gsub",
  version = function() return type(lpeg.version) == "function" and lpeg.version() or lpeg.version end,
  run = function(t)
    local P, R, S, C, Ct, V = lpeg.P, lpeg.R, lpeg.S, lpeg.C, lpeg.Ct, lpeg.V
    local function slow(...) t.pause() return ... end
    local space = S " \t" ^ 0
    local number = C(R "09" ^ 1) / function(s) return slow(tonumber(s)) end * space
    local checked = lpeg.Cmt(number, function(_, at, n) t.pause() return at, n end)
    local sum = P {
      "sum",
      sum = lpeg.Cf(V "product" * lpeg.Cg(P "+" * space * V "product") ^ 0, function(a, b) t.pause() return a + b end),
      product = lpeg.Cf(checked * lpeg.Cg(P "*" * space * checked) ^ 0, function(a, b) return slow(a * b) end),
    }
    local words = Ct((C(R "az" ^ 1) * space) ^ 0)
    local re = require "re"
    t.each(20, function(i)
      for k = 1, 3 do
        assert(sum:match(("%d + 2 * %d + 1"):format(i, k)) == i + 2 * k + 1)
        assert(table.concat(words:match "the quick fox", "-") == "the-quick-fox")
        assert(re.gsub("hello world", "[aeiou]", function(v) t.pause() return v:upper() end) == "hEllO wOrld")
      end
      local ok, err = pcall(lpeg.match, number / function() t.pause() error "inside" end, "5")
      assert(not ok and err:match "inside")
    end)
  end,
}
