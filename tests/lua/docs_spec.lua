-- Every block of Lua in docs/lua that a block of text follows is run, and must print that text.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"

local function examples(path)
  local t, code, text = {}, nil, nil
  for line in io.lines(path) do
    if line == "```lua" then
      code, text = {}, nil
    elseif line == "```text" and code then
      text = {}
    elseif line == "```" and text then
      t[#t + 1] = { table.concat(code, "\n") .. "\n", table.concat(text, "\n") .. "\n" }
      code, text = nil, nil
    elseif line ~= "```" then
      local into = text or code
      if into then into[#into + 1] = line end
    end
  end
  return t
end

local pages = gos.file.list "docs/lua"
table.sort(pages)
for _, page in ipairs(pages) do
  if page:find "%.md$" then
    describe("docs/lua/" .. page, function()
      for i, example in ipairs(examples("docs/lua/" .. page)) do
        it("example " .. i, function()
          local name = os.tmpname()
          gos.file.write(name, example[1])
          local r = assert(gos.process.run({ support.lua, name, stderr = "stdout" }, 60))
          os.remove(name)
          assert.are.equal(example[2], r.stdout)
          assert.are.equal(0, r.status)
        end)
      end
    end)
  end
end
