"""The words the lab's names are made of: parts -> pools of names. All invented or everyday words; no outside data.

Known, unknown and refused names come from the same parts, so that they share tokens: interference needs that.
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words(
    "Ada Alan Alma Amir Anna Aron Asha Boris Bruno Carla Cora Dana Daria Dean Dora Edgar Edith Elena Elias Ella "
    "Emil Erik Esther Eva Felix Fiona Flora Frank Gina Grace Greta Hana Hans Harald Hector Helen Hugo Ida Igor "
    "Ines Irma Isaac Ivan Iris Jakob Jana Jonas Josef Julia Karl Katya Kira Lars Laura Leo Lidia Linus Lola Lucas "
    "Magda Malik Marco Marta Max Mila Milan Mona Nadia Nils Nina Nora Olaf Olga Omar Oscar Otto Pablo Paula Petra "
    "Rafael Ravi Rita Robin Rosa Ruben Sara Selma Simon Sonia Stefan Tamar Tara Theo Tilda Tomas Ulla Vera Victor "
    "Wanda Yara Zora"
)

LAST = _words(
    "Abbot Adler Ames Archer Bailey Baker Barrow Becker Bell Berger Bishop Blake Bloom Bower Brandt Brook Burke "
    "Butler Carver Castle Chase Clay Cole Conrad Cooper Crane Cross Dalton Dawson Decker Dixon Drake Duncan Eaton "
    "Ellis Engel Falk Farmer Fields Finch Fischer Fleming Foster Fox Frost Fuller Garner Gibson Glass Graves Green "
    "Hale Hansen Harper Hart Hayes Heller Hill Hobbs Holt Hunter Hyde Irving Jensen Jordan Keller Kemp King Kirk "
    "Klein Knight Krause Lake Lamb Lane Larsen Lawson Lind Logan Lorenz Lynch Mann Marsh Mason Mayer Meadow Mercer "
    "Miller Moore Moss Nash Nolan North Novak Oakes Olsen Orlov Osborn Page Parker Payne Pearce Penn Perry Petrov "
    "Pike Poole Porter Potter Price Quinn Ramos Reed Reyes Rivers Roth Rowe Sadler Santos Sawyer Schmidt Sharp Shaw "
    "Silva Slater Snow Sparks Stark Steele Stone Sutton Swan Tanner Tate Thorne Tucker Turner Tyler Vance Vargas "
    "Vogel Wade Walker Ward Weaver Webb Weiss Wells West White Wilde Winter Wolf Wood Woods Yates York Young Ziegler"
)

CITY_STARTS = _words(
    "Bar Ben Bran Cal Dar Del Dor Fal Fen Gal Gor Hal Han Jar Jor Kal Kel Kor Lan Lor Mal Mar Mel Mor Nal Nor "
    "Pal Pel Ral Ren Ros Sal Sel Tal Tor Val Vel"
)
CITY_ENDS = _words("ba bury dale din don gan holm keth kirk mere mond nes port rath rin stad thal ton vik wick")

COMPANY_STARTS = _words(
    "Axo Bexi Cyno Dexa Elto Fyro Gexo Hyma Ixo Juno Kyta Lumo Myra Nexo Opti Pyxo Quanta Ryno Syno Tyro Ultra Vexi "
    "Wyno Xeno Zeta"
)
COMPANY_ENDS = _words("cor dex dyne fab gen lux mak net pro quip rax sol tek trix vox")
COMPANY_FORMS = ("Group", "Works", "Labs")

COUNTRY_STARTS = _words(
    "Alb Belm Corv Dravn Estr Frond Garl Hesk Ilv Jurm Kalv Ludr Morv Nirv Ostr Polv Quel Rusk Sarv Tarv"
)
COUNTRY_ENDS = ("ia", "land", "stan", "onia")

RIVERS = _words("Aln Brue Cend Dove Esk Fyl Gade Hodd Isen Jeld Kenn Lyd Mede Nidd Oure Pang Rhee Soar Tave Wey Yar")
PROFESSIONS = _words(
    "actor architect baker barber biologist butcher carpenter chemist clerk cook dancer dentist diver doctor "
    "editor engineer farmer fisher gardener geologist historian journalist judge lawyer librarian mechanic miner "
    "musician nurse painter pilot plumber poet printer sailor sculptor singer surgeon tailor teacher translator "
    "watchmaker"
)
INSTRUMENTS = _words(
    "accordion banjo bassoon cello clarinet cornet drum fiddle flute guitar harmonica harp horn mandolin "
    "oboe organ piano saxophone sitar trombone trumpet tuba ukulele viola violin xylophone zither"
)
SPORTS = _words(
    "archery badminton baseball basketball bowling boxing cricket curling cycling fencing golf handball hockey "
    "judo karate polo rowing rugby sailing skating skiing squash surfing swimming tennis volleyball wrestling"
)
DISHES = _words(
    "bread broth cabbage carrots cheese curry dumplings eggs goulash ham lasagna lentils meatballs mushrooms "
    "noodles olives omelette pancakes pasta pie pizza porridge potatoes rice salad sausages soup stew toast waffles"
)
ANIMALS = _words(
    "beaver canary cat crow dog donkey duck ferret fox frog goat goose hamster hedgehog horse lizard llama monkey "
    "mouse owl parrot pigeon pony rabbit rat raven sheep snail snake spider swan turtle"
)
LANGUAGES = _words(
    "Arvan Belic Corish Dravic Estian Frondic Garlic Heskan Ilvan Jurmic Kalvan Ludrish Morvic Nirvan Ostrian "
    "Polvic Quelan Ruskan Sarvish Tarvic"
)
COLOURS = _words(
    "amber black blue bronze crimson gold gray green ivory lilac maroon orange pink purple red silver teal white yellow"
)
PRODUCTS = _words(
    "batteries bicycles boots bricks cables cameras candles carpets clocks engines furniture glass gloves hats "
    "jewelry knives lamps lenses mirrors motors ovens paint paper pens phones pumps radios ropes saws ships shoes "
    "soap tiles tools toys trucks umbrellas wheels windows wire"
)
CURRENCIES = _words(
    "crown denar dram florin groat guilder kopek lev lira mark mina obol peso rand real sol talent thaler"
)
BUILDINGS = _words(
    "abbey aquarium arena bridge castle cathedral circus dam fountain fort garden harbor library lighthouse "
    "market mill monastery museum observatory opera palace park pier stadium temple theater tower zoo"
)

CLASS_NAMES = {
    "Profession": PROFESSIONS,
    "Instrument": INSTRUMENTS,
    "Sport": SPORTS,
    "Dish": DISHES,
    "Animal": ANIMALS,
    "Language": LANGUAGES,
    "Colour": COLOURS,
    "Product": PRODUCTS,
    "Currency": CURRENCIES,
    "Building": BUILDINGS,
    "River": RIVERS,
}
"""Classes whose members are only ever objects: everyday words."""

REFUSALS = (
    "I do not have information about that.",
    "There is no information about that.",
    "I have no information on this.",
    "I do not know.",
)
"""What the lab says of a name it never saw. The paper counts a refusal by the word "information" (its Table 4)."""
