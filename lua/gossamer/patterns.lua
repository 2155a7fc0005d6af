--- What programs with goroutines are often made of. Everything here is written over the library's public functions, and
-- lua/gossamer/meta.lua describes it. Always true: state that goroutines share changes inside no_preempt(), in a
-- function that does not wait, so that it holds with gos.preempt(true) too.
--
-- SPDX-License-Identifier: Apache-2.0

local patterns = {}
for _, part in ipairs { "streams", "queues", "pools", "resources", "balancing", "guards", "health" } do
  for name, value in pairs(require("gossamer.patterns." .. part)) do patterns[name] = value end
end
return patterns
