"""Text to tokens and back, and conversations to prompts: everything a model file says about its language."""
