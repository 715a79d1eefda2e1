"""What every client of a network shares: addresses, URLs, proxies, credentials and patience."""
