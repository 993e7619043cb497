"""The `.ncz` file: bytes only, never models (docs/format.md, sections 1 to 3)."""
