"""Plain typed functions as tools that a policy may call: schema, calls as models write them, the episode."""
