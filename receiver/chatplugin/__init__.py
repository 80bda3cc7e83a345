"""What the live chat's routes need: settings, tokens, rate limits, and the files a browser loads."""
