"""The content that policies name: who asks the decider about a call, and has the broker do it."""
