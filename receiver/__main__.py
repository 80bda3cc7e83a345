"""`python -m receiver`: serve webhooks."""

from receiver.server import main

main()
