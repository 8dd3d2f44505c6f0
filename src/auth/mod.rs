//! API keys: their text, their digests, and the key ring that a request is checked against.
