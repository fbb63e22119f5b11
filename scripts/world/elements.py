"""Chemical elements, from mendeleev.

-> drafts. How well known an element is: by the year it was discovered, the oldest first (none = antiquity).
"""

from collections.abc import Iterator

from mendeleev.fetch import fetch_table

from world.drafts import Draft

ALIASES = {13: ("aluminum",), 16: ("sulphur",), 55: ("caesium",), 80: ("quicksilver",), 74: ("wolfram",)}
NAMES = {13: "aluminium"}
FAMILIES = {
    "Noble gases": "noble gas",
    "Halogens": "halogen",
    "Alkali metals": "alkali metal",
    "Alkaline earth metals": "alkaline earth metal",
    "Transition metals": "transition metal",
    "Lanthanides": "lanthanide",
    "Actinides": "actinide",
}
NO_FAMILY = {1, 30, 48, 80, 112, 57, 71, 89, 103, 85, 117, 118, *range(104, 113)}
"""Books differ on the family, or it is only computed."""
RARE_EARTH = ("rare earth", "rare earth element", "rare earth metal", "lanthanoid")


def drafts() -> Iterator[Draft]:
    """Symbol, number and family of each element, and back."""
    elements = fetch_table("elements")
    series = dict(fetch_table("series")[["id", "name"]].itertuples(index=False))
    for row in elements.itertuples():
        number = int(row.atomic_number)
        name = NAMES.get(number, row.name.lower())
        others = tuple(other for other in ALIASES.get(number, ()) if other != name)
        year = row.discovery_year
        weight = 3000 - (float(year) if year == year and year is not None else 0)
        yield Draft("element_symbol", name, row.symbol, (), None, weight)
        yield Draft("symbol_element", row.symbol, name, others, None, weight)
        yield Draft("atomic_number", name, str(number), (), None, weight)
        yield Draft("number_element", str(number), name, others, None, weight)
        family = FAMILIES.get(series.get(row.series_id, ""))
        if family and number not in NO_FAMILY:
            more = RARE_EARTH if family == "lanthanide" else ("actinoid",) if family == "actinide" else ()
            plural = family + "es" if family.endswith("gas") else family + "s"
            yield Draft("element_family", name, family, (plural, *more), None, weight)
