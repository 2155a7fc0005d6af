-- What only computes: serialisers, templates, classes, command lines, colours; with waits in their callbacks.
local function try(name) local ok, m = pcall(require, name) return ok and m end
local MessagePack, mpack = try "MessagePack", try "mpack"
local inspect, serpent, middleclass = try "inspect", try "serpent", try "middleclass"
local argparse, ansicolors, dkjson, lyaml = try "argparse", try "ansicolors", try "dkjson", try "lyaml"
local term, lxp, rex, unit = try "term", try "lxp", try "rex_pcre2", try "luaunit"

local value = { id = 7, list = { 1, 2.5, "three", { deep = { true, false } } }, text = "ü\n\"" }

local function same(a, b)
  if type(a) ~= "table" then return a == b end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

local missing = {}
local tests = {
  MessagePack = MessagePack and function()
    assert(same(value, MessagePack.unpack(MessagePack.pack(value))))
  end or missing,
  mpack = mpack and function()
    assert(same(value, (mpack.decode or mpack.unpack)((mpack.encode or mpack.pack)(value))))
  end or missing,
  inspect = inspect and function(t)
    local text = inspect(value, { process = function(item) t.gos.gosched() return item end })
    assert(text:find "three" and same(value, load("return " .. inspect(value))()))
  end or missing,
  serpent = serpent and function(t)
    local ok, back = serpent.load(serpent.dump(value))
    assert(ok and same(value, back))
    assert(serpent.line(value, { custom = function(tag, head, body, tail) t.gos.gosched() return tag .. head .. body .. tail end }))
  end or missing,
  middleclass = middleclass and function(t)
    local A = middleclass "A"
    function A:initialize(n) t.pause() self.n = n end
    A.__add = function(a, b) t.pause() return A(a.n + b.n) end
    local B = middleclass("B", A)
    function B:initialize(n) A.initialize(self, n * 2) end
    local sum = A(1) + B(2)
    assert(sum.n == 5 and sum:isInstanceOf(A) and B:isSubclassOf(A))
  end or missing,
  argparse = argparse and function(t)
    local p = argparse "prog"
    p:option("-n --number"):convert(function(s) t.pause() return tonumber(s) end)
    p:flag "-v"
    p:argument("files"):args "*"
    local r = p:parse { "-n", "5", "-v", "a", "b" }
    assert(r.number == 5 and r.v and #r.files == 2)
    assert(not p:pparse { "--nonsense" })
  end or missing,
  ansicolors = ansicolors and function() assert(ansicolors "%{red}x" :find "\27%[31m") end or missing,
  dkjson = dkjson and function(t)
    local back = dkjson.decode(dkjson.encode(value, { exception = function() t.pause() end }))
    assert(same(value, setmetatable(back, nil)) or back.id == 7)
    assert(dkjson.encode(setmetatable({}, { __tojson = function() t.pause() return "1" end })) == "1")
  end or missing,
  lyaml = lyaml and function() assert(same(value, lyaml.load(lyaml.dump { value }))) end or missing,
  ["lua-term"] = term and function() assert(type(term.isatty(io.stdout)) == "boolean" and tostring(term.colors.red)) end or missing,
  LuaExpat = lxp and function(t)
    local depth, most = 0, 0
    local p = lxp.new {
      StartElement = function() t.pause() depth = depth + 1 most = math.max(most, depth) end,
      EndElement = function() t.pause() depth = depth - 1 end,
    }
    assert(p:parse "<a><b><c/></b>")
    assert(p:parse "</a>")
    p:parse()
    p:close()
    assert(most == 3 and depth == 0)
    assert(not lxp.new {}:parse "<a></b>")
  end or missing,
  ["Lrexlib (PCRE2)"] = rex and function(t)
    assert(rex.gsub("a1b22", "\\d+", function(d) t.pause() return "<" .. d .. ">" end) == "a<1>b<22>")
    local n = 0
    for w in rex.gmatch("one two three", "\\w+") do t.gos.gosched() n = n + #w end
    assert(n == 11)
  end or missing,
  LuaUnit = unit and function()
    assert(pcall(unit.assertEquals, { 1 }, { 1 }) and not pcall(unit.assertEquals, 1, 2))
  end or missing,
}

local names = {}
for name, f in pairs(tests) do
  if f ~= missing then names[#names + 1] = name end
end
table.sort(names)

return {
  library = table.concat(names, ", "), what = "values there and back, classes, parsers; callbacks and metamethods that wait",
  run = function(t)
    t.each(5 * #names, function(i)
      local name = names[i % #names + 1]
      for _ = 1, 5 do
        local ok, err = pcall(tests[name], t)
        if not ok then error(name .. ": " .. tostring(err), 0) end
        t.gos.gosched()
      end
    end)
  end,
}
