"""Networks: their passphrases, and the names people write for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from stellarrow.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Network:
    """A Stellar network: what people call it, and the passphrase its transaction hashes depend on."""

    name: str
    passphrase: str

    @classmethod
    def of(cls, name_or_passphrase: str | Network) -> Network:
        """Understand what people write: a network's name, a passphrase, or `passphrase:TEXT` for any text.

        A word that is no known name is refused, and so is a passphrase that is nearly a known one.
        """
        if isinstance(name_or_passphrase, Network):
            return name_or_passphrase
        written = name_or_passphrase.strip().strip("'\"")  # files of environment variables keep the quotes
        if not written.strip():
            raise ConfigError("the network is empty: name pubnet, testnet, futurenet or a passphrase")
        if written.startswith(_PREFIX) and written != _PREFIX:
            return cls.from_passphrase(written.removeprefix(_PREFIX))
        known = cls.from_passphrase(written)
        if known in KNOWN_NETWORKS:
            return known
        if " " not in written and (name := _ALIASES.get(_plain(written))):
            return cls.from_passphrase(name)
        _refuse_near(written)
        return known

    @classmethod
    def from_passphrase(cls, passphrase: str) -> Network:
        """Take what a place, not a person, says as it is: any text is a passphrase and names itself."""
        for network in KNOWN_NETWORKS:
            if passphrase in (network.name, network.passphrase):
                return network
        return cls(passphrase, passphrase)

    @property
    def written(self) -> str:
        """The network as `of` reads it."""
        return self.name if self in KNOWN_NETWORKS else f"{_PREFIX}{self.passphrase}"

    def __str__(self) -> str:
        return self.name


KNOWN_NETWORKS: Final = (
    Network("pubnet", "Public Global Stellar Network ; September 2015"),
    Network("testnet", "Test SDF Network ; September 2015"),
    Network("futurenet", "Test SDF Future Network ; October 2022"),
    Network("standalone", "Standalone Network ; February 2017"),  # what the quickstart image runs by itself
    # What synth() makes unless told otherwise.
    Network("synthetic", "Stellarrow Synthetic Network ; November 2026"),
)
_PREFIX: Final = "passphrase:"
_ALIASES: Final = {
    **dict.fromkeys(("pubnet", "pub", "public", "publicnet", "main", "mainnet", "live", "livenet"), "pubnet"),
    **dict.fromkeys(("testnet", "test"), "testnet"),
    **dict.fromkeys(("futurenet", "future"), "futurenet"),
    **dict.fromkeys(("standalone", "local", "localnet", "quickstart"), "standalone"),
    **dict.fromkeys(("synthetic", "synth"), "synthetic"),
}


def _plain(text: str) -> str:
    """Leave what tells names apart: `Stellar_Public-Network` and `public` are one."""
    letters = re.sub(r"[\W_]+", "", text.casefold())
    return letters.removeprefix("stellar").removesuffix("network") or letters


def _refuse_near(written: str) -> None:
    from difflib import get_close_matches  # noqa: PLC0415  only what is no known name pays for it

    means = {**_ALIASES, **{one.passphrase.casefold(): one.name for one in KNOWN_NETWORKS}}
    exact = _ALIASES.get(_plain(written))
    close = get_close_matches(written.casefold(), means, n=1, cutoff=0.9 if " " in written else 0.6)
    if near := exact or (close and means[close[0]]):
        raise ConfigError(
            f"{written!r} is no network known by name: did you mean {near}?"
            f" A network of your own with this passphrase is written {_PREFIX}{written}"
        )
    if not re.search(r"\s", written):
        names = ", ".join(one.name for one in KNOWN_NETWORKS)
        raise ConfigError(
            f"{written!r} is no network known by name: choose among {names}, or give the whole passphrase"
            f" (one without spaces as {_PREFIX}{written})"
        )
