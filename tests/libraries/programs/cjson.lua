-- lua-cjson: documents of many goroutines through one encoder.
local cjson = require "cjson"

return {
  library = "lua-cjson", what = "encoding and decoding, errors, an instance of its own per goroutine", version = cjson._VERSION,
  run = function(t)
    t.each(30, function(i)
      local own = cjson.new()
      for k = 1, 20 do
        local text = cjson.encode { id = i, list = { k, k + 1, "x" }, text = ("ü"):rep(k * 50) }
        t.gos.gosched()
        local back = cjson.decode(text)
        assert(back.id == i and back.list[2] == k + 1 and #back.text == k * 100)
        assert(own.decode(own.encode { null = cjson.null }).null == cjson.null)
        assert(not pcall(cjson.decode, '{"a":'))
        assert(not pcall(cjson.encode, { print }))
      end
    end)
    if not t.gos.isolate then return end
    local lib = cjson -- as an upvalue: the isolate's own
    local ok, text = t.gos.isolate(function(v) return lib.encode(v) end, { 1, 2, { a = true } }):join()
    assert(ok and text == '[1,2,{"a":true}]', text)
  end,
}
