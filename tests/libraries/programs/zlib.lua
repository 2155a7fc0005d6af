local zlib = require "zlib"

return {
  library = "lua-zlib", version = zlib._VERSION, what = "streams fed piece by piece between waits; a damaged one",
  run = function(t)
    t.each(20, function(i)
      local text = ("gossamer " .. i .. " "):rep(2000)
      local deflate, out = zlib.deflate(), {}
      for at = 1, #text, 1000 do
        out[#out + 1] = deflate(text:sub(at, at + 999))
        t.pause()
      end
      out[#out + 1] = deflate("", "finish")
      local packed = table.concat(out)
      local inflate, back = zlib.inflate(), {}
      for at = 1, #packed, 50 do
        back[#back + 1] = inflate(packed:sub(at, at + 49))
        t.gos.gosched()
      end
      assert(table.concat(back) == text and zlib.crc32()(text) == zlib.crc32()(table.concat(back)))
      assert(not pcall(zlib.inflate(), "damaged" .. packed))
    end)
  end,
}
