"""The pure heart: what an item becomes. No Beam, no clock, no network."""
