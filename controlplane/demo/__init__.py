"""The quick start's world: embedded servers, two ibam databases, a small sample application, and a story told through them."""
