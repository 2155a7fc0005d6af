"""What concurrent programs are made of: streams, pools, balancers, guards.

Functions that return channels start the goroutines that fill them and close them when their input ends. These end
quietly with ctx, or else with the ambient context. An exception in a function given to them ends their goroutine and is
reported as any goroutine's is; with go=group.go they are members of that errgroup, which cancels all and raises it.
"""
# SPDX-License-Identifier: Apache-2.0

from ._balance import RoundRobin, Weighted
from ._guards import CircuitBreaker, CircuitOpen, Health, HealthChecker, TokenBucket
from ._pools import ConnPool, JobQueue, Pool, ResourcePool
from ._pubsub import PubSub, Ring, Subscription
from ._streams import SKIP, Item, bridge, fan_out, generate, merge, stage, tee

__all__ = [
    "SKIP",
    "CircuitBreaker",
    "CircuitOpen",
    "ConnPool",
    "Health",
    "HealthChecker",
    "Item",
    "JobQueue",
    "Pool",
    "PubSub",
    "ResourcePool",
    "Ring",
    "RoundRobin",
    "Subscription",
    "TokenBucket",
    "Weighted",
    "bridge",
    "fan_out",
    "generate",
    "merge",
    "stage",
    "tee",
]
