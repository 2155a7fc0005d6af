local List, tablex, stringx, pretty = require "pl.List", require "pl.tablex", require "pl.stringx", require "pl.pretty"
local seq, path, dir, utils, class = require "pl.seq", require "pl.path", require "pl.dir", require "pl.utils", require "pl.class"
local template, lexer, data = require "pl.template", require "pl.lexer", require "pl.data"

return {
  library = "Penlight", version = utils._VERSION, what = "lists, classes, templates, lexer, files; functions that wait; utils.executeex",
  run = function(t)
    local Animal = class()
    function Animal:_init(name) t.pause() self.name = name end
    Animal.__tostring = function(self) t.pause() return self.name end
    local Dog = class(Animal)
    t.each(20, function(i)
      local l = List.range(1, 20):filter(function(x) t.gos.gosched() return x % 2 == 0 end):map(function(x) t.pause() return x * i end)
      assert(l:reduce "+" == 110 * i)
      assert(l:sorted(function(a, b) t.gos.gosched() return a > b end)[1] == 20 * i)
      assert(tablex.deepcompare(pretty.read(pretty.write { a = { 1, i } }), { a = { 1, i } }))
      assert(stringx.join(",", stringx.split("a b c", " ")) == "a,b,c")
      assert(tostring(Dog("rex" .. i)) == "rex" .. i)
      assert(seq.sum(seq.map(function(x) t.gos.gosched() return x end, seq.range(1, 10))) == 55)
      assert(template.substitute("# for i = 1, 3 do\n$(f(i)) \n# end\n", { f = function(n) t.pause() return n * i end })
        :gsub("%s+", " ") == ("%d %d %d "):format(i, 2 * i, 3 * i))
      local tokens = 0
      for _ in lexer.lua "local x = 1 + y" do t.gos.gosched() tokens = tokens + 1 end
      assert(tokens > 5)
      local name = path.tmpname()
      utils.writefile(name, "a,b\n1,2\n")
      assert(data.read(name, { delim = "," })[1][2] == 2)
      os.remove(name)
    end)
    t.each(t.hooked and 5 or 1, function(i)
      local ok, code, out = utils.executeex("(echo out; exit " .. i .. ")")
      assert(not ok and code == i and out == "out\n")
    end)
    assert(#dir.getfiles "tests/libraries" >= 1)
  end,
}
