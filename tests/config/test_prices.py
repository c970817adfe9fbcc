"""The options `price_*`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import Prices, dump

from .fixture import PLAIN, mistakes, read


class PricesTests(SynchronousTestCase):
    """What they are read as."""

    def test_prices(self) -> None:
        """Numbers; the dump says the same; anything else is a mistake."""
        text = f"[s3shield]\nprice_per_gb = 0.09\nprice_per_10k_requests = 0.004\n{PLAIN}"
        config = read(text)
        self.assertEqual(Prices(0.09, 0.004), config.daemon.prices)
        self.assertEqual(config, read(dump(config)))
        self.assertEqual(Prices(), read(PLAIN).daemon.prices)
        for wrong in ("$0.09", "0,09", "-1", "nan", "1e3"):
            (line,) = mistakes(f"[s3shield]\nprice_per_gb = {wrong}\n{PLAIN}")
            self.assertIn("a price is a number", line)
