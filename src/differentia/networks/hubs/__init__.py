"""Networks by the names that other libraries give them, with the weights and transforms that go with them."""
