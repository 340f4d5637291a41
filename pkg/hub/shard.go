package hub

import "hash/fnv"

// shardOf spreads connections over shards. It must never change: stored subscriptions
// depend on it.
func shardOf(connection string, shards int) int {
	h := fnv.New32a()
	h.Write([]byte(connection))
	return int(h.Sum32()>>1) % max(shards, 1)
}
