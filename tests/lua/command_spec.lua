-- gossamer-lua, the command.
-- SPDX-License-Identifier: Apache-2.0

local gos = require "gossamer"
local support = require "tests.lua.support"
local contains = support.contains

-- Runs it with these arguments. Its stdout, its stderr, its exit status.
local function run(args, input)
  local options = { support.lua, "lua/gossamer-lua", input = input }
  for _, a in ipairs(args) do options[#options + 1] = a end
  if not input then options.stdin = "null" end
  local r = assert(gos.process.run(options, 60))
  return r.stdout, r.stderr, r.how == "exit" and r.status or r.how .. r.status
end

-- The same for a script of this code.
local function script(code, options, args)
  local name = os.tmpname()
  gos.file.write(name, code)
  local all = table.move(options or {}, 1, #(options or {}), 1, {})
  all[#all + 1] = name
  table.move(args or {}, 1, #(args or {}), #all + 1, all)
  local out, err, status = run(all)
  os.remove(name)
  return out, err, status, name
end

describe("gossamer-lua", function()
  it("runs a script with its arguments; main is a goroutine", function()
    local out, err, status, name = script([[
      local gos = require "gossamer"
      print(arg[0], #arg, arg[1], arg[2], ...)
      print(arg[-1]:match "gossamer%-lua$", arg[-2] ~= nil)
      local ch = gos.chan()
      gos.go(function() ch:send(gos.goid()) end)
      print(ch:recv() > 1, gos.goid())
    ]], nil, { "one", "two words" })
    assert.are.equal("", err)
    assert.are.equal(name .. "\t2\tone\ttwo words\tone\ttwo words\ngossamer-lua\ttrue\ntrue\t1\n", out)
    assert.are.equal(0, status)
  end)
  it("takes options as lua5.4 does", function()
    assert.are.equal("1\n2\n", (run { "-e", "print(1)", "-eprint(2)" }))
    assert.are.equal("x\n", (run({ "-" }, "print(({...})[1] or 'x')")))
    assert.are.equal("y\n", (run({ "-", "y" }, "print(({...})[1] or 'x')")))
    assert.are.equal("in\n", (run({}, "#!shebang\nprint 'in'")))
    assert.are.equal("-\t-e\n", (run({ "--", "-", "-e" }, "print(arg[0], arg[1])")))
    assert.are.equal("table\ttable\n", (run { "-l", "gossamer", "-l", "g=gossamer", "-e", "print(type(gossamer), type(g))" }))
    local out, _, status = script("print 'script'", { "-e", "print 'first'" })
    assert.are.same({ "first\nscript\n", 0 }, { out, status })
  end)
  it("says its version and its usage", function()
    assert.are.equal(("gossamer-lua %s (%s)\n"):format(gos._VERSION, _VERSION), (run { "--version" }))
    assert.is_truthy((run { "-v", "-e", "print 'too'" }):find "too\n$")
    assert.is_true(contains(run { "--help" }, "usage: gossamer-lua"))
    for _, bad in ipairs { { "-i" }, { "--nothing" }, { "-e" }, { "-l" }, { "--preempt=x" } } do
      local out, err, status = run(bad)
      assert.are.equal("", out)
      assert.is_true(contains(err, "usage: gossamer-lua"), err)
      assert.are.equal(1, status)
    end
  end)
  it("ends with the script's status", function()
    assert.are.equal(7, (select(3, script "os.exit(7)")))
    assert.are.equal(3, (select(3, script "require'gossamer'.go(os.exit, 3):join()")))
    assert.are.equal(0, (select(3, script "require'gossamer'.go(require'gossamer'.nilchan.recv, require'gossamer'.nilchan)")))
  end)
  it("shows an error with its traceback, and ends with 1", function()
    local out, err, status, name, _ = script("local function inner() error 'broken' end\nprint 'before'\ninner()")
    assert.are.same({ "before\n", 1 }, { out, status })
    assert.is_truthy(err:find("^gossamer%-lua: " .. name:gsub("%p", "%%%0") .. ":1: broken\nstack traceback:\n"))
    assert.is_truthy(err:find "in %a+ 'inner'")
    assert.is_truthy(err:find "\n\t%[C%]: in %?\n$")
    assert.is_falsy(err:find "xpcall")
    _, err, status = script "error({})"
    assert.is_true(contains(err, "(error object is a table value)") and status == 1)
    _, err, status = script "error(setmetatable({}, { __tostring = function() return 'told' end }))"
    assert.are.same({ "gossamer-lua: told\n", 1 }, { err, status })
    _, err, status = script "x x"
    assert.is_true(contains(err, "syntax error") and status == 1)
    _, err, status = run { "/no/such/script.lua" }
    assert.is_true(contains(err, "cannot open /no/such/script.lua") and status == 1)
    _, err, status = run { "-l", "no.such.module" }
    assert.is_true(contains(err, "module 'no.such.module' not found") and status == 1)
    _, err, status = run { "-e", "error 'x'" }
    assert.is_true(contains(err, "(command line):1: x") and status == 1)
  end)
  it("shows all goroutines at a deadlock, and ends with 2", function()
    local out, err, status = script [[
      local gos = require "gossamer"
      local function waits(ch) return (ch:recv()) end
      gos.go { waits, gos.chan(), name = "reader" }
      gos.chan():send(1)
    ]]
    assert.are.same({ "", 2 }, { out, status })
    assert.is_true(contains(err, "all goroutines are asleep - deadlock!"))
    assert.is_truthy(err:find "goroutine %d+ reader %[chan receive%]:\nstack traceback:\n.-:2: in function")
  end)
  it("reports errors nobody joined", function()
    local _, err, status = script "require'gossamer'.go(error, 'lost', 0) require'gossamer'.gosched()"
    assert.is_true(contains(err, "lost") and status == 0)
  end)
  it("--leaks: reports who is left over", function()
    local leaky = "local gos = require 'gossamer' gos.go { gos.nilchan.recv, gos.nilchan, name = 'stuck' } gos.gosched()"
    local _, err, status = script(leaky)
    assert.are.same({ "", 0 }, { err, status })
    _, err, status = script(leaky, { "--leaks" })
    assert.are.equal(1, status)
    assert.is_truthy(err:find "^gossamer%-lua: 1 goroutine is left over:\ngoroutine: %d+ %(stuck%) %[chan receive %(nil chan%)%]\n")
    _, err, status = script("local gos = require 'gossamer' gos.go(gos.gosched)", { "--leaks" })
    assert.are.same({ "", 0 }, { err, status })
  end)
  it("--preempt, --hook", function()
    local spin = [[
      local gos = require "gossamer"
      local stop
      local g = gos.go(function() while not stop do end return "stopped" end)
      gos.sleep(0.001)
      stop = true
      print(g:join(), gos.preempt())
    ]]
    assert.are.equal("true\t0.005\n", (script(spin, { "--preempt=0.005" })))
    assert.are.equal("true\t0.01\n", (script(spin, { "--preempt" })))
    assert.are.equal("true\n", (script("print(require'gossamer'.unhook())", { "--hook" })))
  end)
  it("--dump-on-quit: SIGQUIT shows every goroutine", function()
    local code = [[
      local gos = require "gossamer"
      local g = gos.go { gos.nilchan.recv, gos.nilchan, name = "waits" }
      while g:status() ~= "waiting" do gos.gosched() end
      gos.process.spawn { "sh", "-c", "kill -QUIT $PPID" }
      while true do gos.sleep(60) end
    ]]
    local _, err, status = script(code, { "--dump-on-quit" })
    assert.are.equal(2, status)
    assert.is_true(contains(err, "SIGQUIT: quit") and contains(err, "(waits) [chan receive (nil chan)]"))
  end)
  it("an interrupt ends main's wait with an error", function()
    local _, err, status = script [[
      local gos = require "gossamer"
      gos.process.spawn { "sh", "-c", "kill -INT $PPID" }
      gos.sleep(60)
    ]]
    assert.are.equal(1, status)
    assert.is_true(contains(err, "interrupted!"))
  end)
end)
