-- LuaSQL and LuaDBI with SQLite: a connection per goroutine, rows read with waits in between, transactions.
local driver = require "luasql.sqlite3"

return {
  library = "LuaSQL (SQLite)", version = function() return driver._VERSION end,
  what = "a connection per goroutine on one file, rows with waits between, transactions under a mutex, errors",
  run = function(t)
    local gos = t.gos
    local name = os.tmpname()
    local env = assert(driver.sqlite3())
    local first = assert(env:connect(name))
    assert(first:execute "create table t (who integer, n integer)")
    local mu = gos.mutex() -- SQLite's busy handler would keep the whole state waiting
    t.each(10, function(i)
      local con = assert(env:connect(name))
      for n = 1, 5 do
        local _ <close> = mu:guard()
        assert(con:setautocommit(false))
        assert(con:execute(("insert into t values (%d, %d)"):format(i, n)))
        t.pause()
        if n == 5 then assert(con:rollback()) else assert(con:commit()) end
        con:setautocommit(true)
      end
      local cur = assert(con:execute(("select n from t where who = %d order by n"):format(i)))
      local sum, row = 0, cur:fetch {}
      while row do
        sum = sum + row[1]
        t.pause()
        row = cur:fetch {}
      end
      assert(sum == 10, sum)
      assert(not con:execute "select nonsense")
      con:close()
    end)
    local cur = first:execute "select count(*) from t"
    assert(math.tointeger(cur:fetch()) == 40)
    cur:close()
    first:close()
    env:close()
    os.remove(name)
  end,
}
