"""What the tests of blueprints share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHOP = """\
application: shop
name: Shop
environments:
  staging:
    tier: staging
    order: 1
    data_class: masked
    components:
      web: {kind: backend, provider: command, settings: {restart: shop-restart}}
      worker: {kind: worker}
    databases:
      main: {dsn: "env:TARGET_SHOP_STAGING", schemas: [public], parity_tables: [public.articles]}
  production:
    tier: production
    order: 2
    data_class: personal
    source_of_truth: true
    promotes_from: staging
    protected: true
    required_approvals: 1
    components:
      web: {kind: backend, provider: command, health_url: https://shop.example/health}
    databases:
      main: {dsn: "env:TARGET_SHOP_PRODUCTION"}
variables:
  - {key: LOG_LEVEL, required: false, allowed: [info, debug]}
masking:
  public.customers: {email: email}
sync:
  down: {from: production, to: staging, tables: [public.articles]}
cleanup:
  orphans: {kind: orphans, table: public.lines, column: order_id, parent: public.orders, parent_column: id, action: delete}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The blueprint of a shop, to be changed by the test: ``shop.write_text(...)``."""
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    return path
