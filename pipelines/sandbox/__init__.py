"""The providers on a laptop: Graph (WhatsApp, Messenger, Instagram) and Twilio, for whoever sends and listens."""
