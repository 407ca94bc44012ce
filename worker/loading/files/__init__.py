"""A model's files: found and checked before any of them is loaded. Knows files and JSON; knows no tensor."""
