"""Hardening costs few megaflows and masks, and more prefixes cost none (docs/cost.md has the figures)."""

from __future__ import annotations

import pytest

from benchmarks.filters import DEFAULTS, UNHARDENED
from benchmarks.flow_cache import WORKLOADS, cache_sizes
from benchmarks.policies import generated_space
from benchmarks.results import CacheSize
from testing.private_ovs import PrivateOvs

pytestmark = pytest.mark.slow

Sizes = dict[tuple[str, str, int], CacheSize]
FEW, MANY = 10, 10_000


@pytest.fixture(scope="module")
def sizes() -> Sizes:
    with PrivateOvs() as ovs:
        return {
            (size.filter, size.workload, size.prefixes): size
            for prefixes in (FEW, MANY)
            for size in cache_sizes(ovs, generated_space(prefixes), (UNHARDENED, DEFAULTS))
        }


@pytest.mark.parametrize("workload", [workload.name for workload in WORKLOADS])
@pytest.mark.parametrize("prefixes", [FEW, MANY])
def test_the_defaults_cost_at_most_half_more_than_no_hardening(
    sizes: Sizes, workload: str, prefixes: int
) -> None:
    unhardened, defaults = (sizes[name, workload, prefixes] for name in ("unhardened", "defaults"))
    assert unhardened.megaflows > 20
    assert unhardened.masks > 20
    assert defaults.megaflows <= 1.5 * unhardened.megaflows
    assert defaults.masks <= 1.5 * unhardened.masks


@pytest.mark.parametrize("workload", [workload.name for workload in WORKLOADS])
def test_a_thousand_times_the_prefixes_cost_no_more(sizes: Sizes, workload: str) -> None:
    few, many = (sizes["defaults", workload, prefixes] for prefixes in (FEW, MANY))
    assert many.rules > 20 * few.rules
    assert many.megaflows == pytest.approx(few.megaflows, rel=0.05)
    assert many.masks == pytest.approx(few.masks, rel=0.15)
