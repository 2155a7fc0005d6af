-- Every block of Lua in docs/lua is run. If a block of text follows it must print that, else nothing.
-- (Blocks between ~~~ are other people's programs.) The reference is what meta.lua says.
--   GOSSAMER_DOCS=update: writes what they print into the pages instead.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"

local update = os.getenv "GOSSAMER_DOCS" == "update"

-- The page as a list of lines and blocks; a block of text is its program's.
local function read(path)
  local parts, block, foreign = {}, nil, false
  for line in io.lines(path) do
    local last = parts[#parts]
    if block and line == "```" then
      block = nil
    elseif block then
      block[#block + 1] = line
    elseif line:find "^~~~" then
      foreign = not foreign
      parts[#parts + 1] = line
    elseif line == "```lua" and not foreign then
      block = {}
      parts[#parts + 1] = { code = block }
    elseif line == "```text" and type(last) == "table" and not last.text then
      block = {}
      last.text = block
    else
      parts[#parts + 1] = line
    end
  end
  return parts
end

local function lines(list) return #list > 0 and table.concat(list, "\n") .. "\n" or "" end

local function run(example)
  local name = os.tmpname()
  gos.file.write(name, lines(example.code))
  local r = assert(gos.process.run({ support.lua, name, stderr = "stdout" }, 60))
  os.remove(name)
  return r.stdout, r.status
end

local function write(path, parts)
  local out = {}
  for _, part in ipairs(parts) do
    if type(part) == "string" then
      out[#out + 1] = part .. "\n"
    else
      out[#out + 1] = "```lua\n" .. lines(part.code) .. "```\n"
      if part.text then out[#out + 1] = "```text\n" .. (run(part)) .. "```\n" end
    end
  end
  gos.file.write(path, table.concat(out))
end

local pages = gos.file.list "docs/lua"
table.sort(pages)
for _, page in ipairs(pages) do
  local path = "docs/lua/" .. page
  if page:find "%.md$" then
    describe(path, function()
      if update then write(path, read(path)) end
      local parts, n = read(path), 0
      for _, example in ipairs(parts) do
        if type(example) == "table" then
          n = n + 1
          it("example " .. n, function()
            local out, status = run(example)
            assert.are.equal(lines(example.text or {}), out)
            assert.are.equal(0, status)
          end)
        end
      end
    end)
  end
end

describe("docs/lua/reference.md", function()
  it("is what lua/gossamer/meta.lua says", function()
    local r = assert(gos.process.run({ support.lua, "tools/lua-reference", "--check", stderr = "stdout" }, 60))
    assert.are.same({ 0, "" }, { r.status, r.stdout })
  end)
end)
