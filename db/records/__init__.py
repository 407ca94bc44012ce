"""Values that cross rooms: plain, frozen, without behaviour. Imports nothing but the standard library."""
