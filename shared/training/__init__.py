"""How a model is trained: what an owner may say, what is decided otherwise, and how long it takes."""
