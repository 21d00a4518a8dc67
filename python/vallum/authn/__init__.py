"""Authenticators that Python decides.

- `enhanced`   enhanced authentication of MQTT 5: exchanges of several steps
"""
