"""What keeps the TLS of a running broker up to date.

- `upkeep`   certificates that were renewed, on a timer and on demand; the tasks of all this
- `lists`    certificate revocation lists: fetched when missed, refreshed, forgotten
- `staple`   the OCSP response that clients are sent
- `fetch`    one HTTP request, with a bound on time and size
"""

from vallum.tls.upkeep import TlsUpkeep

__all__ = ["TlsUpkeep"]
