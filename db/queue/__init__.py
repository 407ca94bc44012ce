"""A shard from ready to done: claimed, loaded, landed, failed, split, rescued."""
