-- SPDX-License-Identifier: Apache-2.0

local support = require "tests.lua.support"

describe("meta.lua", function()
  it("describes exactly what is bound", function()
    local pipe = assert(io.popen(support.lua .. " tests/lua/check_meta.lua 2>&1"))
    local out = pipe:read "a"
    assert.is_true((pipe:close()), out)
  end)
end)
