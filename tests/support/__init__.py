"""What the tests share.

- `wire`: MQTT packets as bytes, both ways, written from the standard
- `client`: a client that sends and reads whole packets, or any bytes at all
- `deadline`: the one bound on every wait
"""
