"""What a run will take before there is one: memory, operations, bytes and seconds, by a model's shape."""
