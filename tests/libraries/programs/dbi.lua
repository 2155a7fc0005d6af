local DBI = require "DBI"

return {
  library = "LuaDBI (SQLite)", version = DBI._VERSION or "", what = "prepared statements in goroutines, rows with waits between",
  run = function(t)
    t.each(10, function(i)
      local db = assert(DBI.Connect("SQLite3", ":memory:"))
      db:autocommit(true)
      assert(DBI.Do(db, "create table t (n integer, s text)"))
      local st = assert(db:prepare "insert into t values (?, ?)")
      for n = 1, 20 do
        assert(st:execute(n, ("s"):rep(i)))
        t.gos.gosched()
      end
      st:close()
      local get, sum = assert(db:prepare "select n, s from t"), 0
      assert(get:execute())
      for row in get:rows(true) do
        sum = sum + row.n
        assert(#row.s == i)
        t.pause()
      end
      assert(sum == 210)
      get:close()
      db:close()
    end)
  end,
}
