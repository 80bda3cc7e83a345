"""How a sender proves itself: signatures, tokens, and the schemes that custom sources declare."""
