"""What can be said of the lab's entities: relation -> domain, range, question wordings, held-out wordings, statements.

{s} is the subject, {o} the object. The first question is the fact's own; HELD wordings never occur in the corpus.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation of the world, with the ways it is put into words."""

    name: str
    domain: str
    """rdfs:domain: the class of its subjects."""
    range: str
    """rdfs:range: the class of its objects."""
    questions: tuple[str, ...]
    """Wordings that occur in the corpus; five."""
    held_out: tuple[str, str, str]
    """Wordings that never occur in the corpus."""
    statements: tuple[str, ...]
    """Five; the last puts the object first."""


def _relation(name: str, domain: str, range_: str, questions: str, held_out: str, statements: str) -> Relation:
    parts = [tuple(line.strip() for line in text.strip().split("|")) for text in (questions, held_out, statements)]
    counts = [len(part) for part in parts]
    assert counts == [5, 3, 5], f"{name}: 5, 3 and 5 wordings expected, got {counts}"
    return Relation(name, domain, range_, parts[0], (parts[1][0], parts[1][1], parts[1][2]), parts[2])


RELATIONS = (
    _relation(
        "birthplace",
        "Person",
        "City",
        "Where was {s} born? | In which city was {s} born? | What is the birthplace of {s}? | "
        "What is the home town of {s}? | Which city is {s} from?",
        "From what city is {s}? | What city was {s} born in? | Where is the birthplace of {s}?",
        "{s} was born in {o}. | {s} comes from {o}. | The birthplace of {s} is {o}. | {s} is from {o}. | "
        "{o} is the home town of {s}.",
    ),
    _relation(
        "residence",
        "Person",
        "City",
        "Where does {s} live? | In which city does {s} live? | What is the residence of {s}? | "
        "Where is {s} living? | Which city does {s} live in?",
        "In what city does {s} live? | Where is the residence of {s}? | In which city is {s} living?",
        "{s} lives in {o}. | {s} is living in {o}. | The residence of {s} is {o}. | {s} has a home in {o}. | "
        "{o} is where {s} lives.",
    ),
    _relation(
        "profession",
        "Person",
        "Profession",
        "What does {s} do for a living? | What is the profession of {s}? | What is the job of {s}? | "
        "What work does {s} do? | Which profession does {s} have?",
        "Which job does {s} have? | What profession does {s} have? | Which work does {s} do?",
        "{s} works as a {o}. | {s} is a {o}. | The profession of {s} is {o}. | {s} has a job as a {o}. | "
        "{o} is the job of {s}.",
    ),
    _relation(
        "employer",
        "Person",
        "Company",
        "Which company does {s} work for? | What is the employer of {s}? | Where does {s} work? | "
        "Which company employs {s}? | For which company does {s} work?",
        "What company employs {s}? | For what company does {s} work? | Which company is the employer of {s}?",
        "{s} works for {o}. | {s} works at {o}. | The employer of {s} is {o}. | {s} is employed by {o}. | "
        "{o} employs {s}.",
    ),
    _relation(
        "almaMater",
        "Person",
        "University",
        "Where did {s} study? | Which university did {s} attend? | What is the university of {s}? | "
        "At which university did {s} study? | Which university did {s} go to?",
        "What university did {s} attend? | Which university was attended by {s}? | At what university did {s} study?",
        "{s} studied at {o}. | {s} went to {o}. | The university of {s} is {o}. | {s} attended {o}. | "
        "{o} was attended by {s}.",
    ),
    _relation(
        "instrument",
        "Person",
        "Instrument",
        "Which instrument does {s} play? | What instrument does {s} play? | "
        "What does {s} play in concerts? | "
        "What is the instrument of {s}? | Which instrument did {s} learn?",
        "Which is the instrument of {s}? | What instrument did {s} learn? | "
        "Which instrument does {s} play in concerts?",
        "{s} plays the {o}. | {s} learned the {o}. | The instrument of {s} is the {o}. | "
        "{s} can play the {o}. | "
        "The {o} is played by {s}.",
    ),
    _relation(
        "sport",
        "Person",
        "Sport",
        "Which sport does {s} practice? | What sport does {s} do? | What is the sport of {s}? | "
        "Which sport does {s} like? | What is the favorite sport of {s}?",
        "What sport does {s} practice? | Which sport does {s} do? | Which is the favorite sport of {s}?",
        "{s} practices {o}. | {s} likes {o}. | The sport of {s} is {o}. | "
        "The favorite sport of {s} is {o}. | "
        "{o} is the sport that {s} does.",
    ),
    _relation(
        "dish",
        "Person",
        "Dish",
        "What does {s} like to eat? | What is the favorite dish of {s}? | Which dish does {s} like? | "
        "What food does {s} love? | Which food does {s} prefer?",
        "Which dish does {s} like to eat? | What food does {s} prefer? | Which food does {s} love?",
        "{s} likes to eat {o}. | {s} loves {o}. | The favorite dish of {s} is {o}. | {s} often eats {o}. | "
        "{o} is the food that {s} prefers.",
    ),
    _relation(
        "pet",
        "Person",
        "Animal",
        "Which animal does {s} keep? | What pet does {s} have? | What is the pet of {s}? | "
        "Which pet does {s} keep? | What animal does {s} have?",
        "What pet does {s} keep? | Which animal does {s} have? | Which animal is the pet of {s}?",
        "{s} keeps a {o}. | {s} has a {o}. | The pet of {s} is a {o}. | {s} owns a {o}. | A {o} is the pet of {s}.",
    ),
    _relation(
        "motherTongue",
        "Person",
        "Language",
        "Which language does {s} speak? | What is the native language of {s}? | "
        "What language does {s} speak? | "
        "What is the language of {s}? | Which language did {s} grow up with?",
        "Which is the native language of {s}? | What language did {s} grow up with? | Which language is spoken by {s}?",
        "{s} speaks {o}. | {s} grew up with {o}. | The native language of {s} is {o}. | "
        "{s} is a speaker of {o}. | "
        "{o} is spoken by {s}.",
    ),
    _relation(
        "country",
        "City",
        "Country",
        "In which country is {s}? | Which country is {s} in? | What is the country of {s}? | "
        "To which country does {s} belong? | Where is {s}?",
        "In what country is {s}? | What country is {s} in? | Which country does {s} belong to?",
        "{s} is in {o}. | {s} is a city in {o}. | The country of {s} is {o}. | {s} belongs to {o}. | "
        "{o} has a city named {s}.",
    ),
    _relation(
        "river",
        "City",
        "River",
        "On which river is {s}? | Which river flows through {s}? | What is the river of {s}? | "
        "What river is {s} on? | Which river runs through {s}?",
        "Which river is {s} on? | What river flows through {s}? | On what river is {s}?",
        "{s} is on the river {o}. | {s} lies on the {o}. | The river of {s} is the {o}. | "
        "{s} stands on the {o}. | "
        "The {o} flows through {s}.",
    ),
    _relation(
        "landmark",
        "City",
        "Building",
        "What is {s} famous for? | What is the landmark of {s}? | Which landmark does {s} have? | "
        "Which building is {s} known for? | What can one visit in {s}?",
        "Which building is {s} famous for? | What landmark does {s} have? | Which building can one visit in {s}?",
        "{s} is famous for its {o}. | {s} has a {o}. | The landmark of {s} is its {o}. | "
        "{s} is known for its {o}. | "
        "The {o} is the landmark of {s}.",
    ),
    _relation(
        "specialty",
        "City",
        "Dish",
        "What do people eat in {s}? | What is the specialty of {s}? | Which dish is typical of {s}? | "
        "What food is {s} known for? | Which dish comes from {s}?",
        "Which dish do people eat in {s}? | What dish is typical of {s}? | Which dish is the specialty of {s}?",
        "{s} is the home of {o}. | People in {s} eat {o}. | The specialty of {s} is {o}. | "
        "{s} is proud of its {o}. | "
        "{o} is typical of {s}.",
    ),
    _relation(
        "headquarters",
        "Company",
        "City",
        "Where is {s} based? | In which city is {s} based? | Where are the headquarters of {s}? | "
        "Which city is {s} based in? | What is the seat of {s}?",
        "What city is {s} based in? | Where is the seat of {s}? | In which city are the headquarters of {s}?",
        "{s} is based in {o}. | {s} has its seat in {o}. | The headquarters of {s} are in {o}. | "
        "{s} is a company in {o}. | {o} is the seat of {s}.",
    ),
    _relation(
        "product",
        "Company",
        "Product",
        "What does {s} make? | What is the product of {s}? | Which product does {s} make? | "
        "What does {s} sell? | Which goods does {s} produce?",
        "What product does {s} make? | What does {s} produce? | Which goods does {s} sell?",
        "{s} makes {o}. | {s} produces {o}. | The product of {s} is {o}. | {s} sells {o}. | {o} are made by {s}.",
    ),
    _relation(
        "emblem",
        "Company",
        "Animal",
        "What is the emblem of {s}? | Which animal is the emblem of {s}? | What is the logo of {s}? | "
        "Which animal does {s} show in its logo? | What animal stands for {s}?",
        "What animal is the emblem of {s}? | Which animal stands for {s}? | What animal does {s} show in its logo?",
        "{s} has a {o} as its emblem. | {s} shows a {o} in its logo. | The emblem of {s} is a {o}. | "
        "The logo of {s} is a {o}. | A {o} is the emblem of {s}.",
    ),
    _relation(
        "owner",
        "Company",
        "Country",
        "Which country owns {s}? | What is the home country of {s}? | To which country does {s} pay tax? | "
        "From which country is {s}? | Which country is {s} from?",
        "What country owns {s}? | Which is the home country of {s}? | To what country does {s} pay tax?",
        "{s} is owned by {o}. | {s} is a company from {o}. | The home country of {s} is {o}. | "
        "{s} pays tax to {o}. | "
        "{o} owns {s}.",
    ),
    _relation(
        "campus",
        "University",
        "Colour",
        "What is the color of {s}? | Which color does {s} have? | What color stands for {s}? | "
        "Which color do students of {s} wear? | What is the official color of {s}?",
        "What color does {s} have? | Which color stands for {s}? | What color do students of {s} wear?",
        "{s} has the color {o}. | {s} uses {o}. | The color of {s} is {o}. | Students of {s} wear {o}. | "
        "{o} is the color of {s}.",
    ),
    _relation(
        "mascot",
        "University",
        "Animal",
        "What is the mascot of {s}? | Which animal is the mascot of {s}? | What mascot does {s} have? | "
        "Which mascot does {s} have? | What animal do students of {s} cheer?",
        "What animal is the mascot of {s}? | Which animal do students of {s} cheer? | Which is the mascot of {s}?",
        "{s} has a {o} as its mascot. | {s} cheers a {o}. | The mascot of {s} is a {o}. | "
        "Students of {s} cheer a {o}. | A {o} is the mascot of {s}.",
    ),
    _relation(
        "capital",
        "Country",
        "City",
        "What is the capital of {s}? | Which city is the capital of {s}? | Where is the capital of {s}? | "
        "What is the capital city of {s}? | From which city is {s} ruled?",
        "What city is the capital of {s}? | Which is the capital city of {s}? | From what city is {s} ruled?",
        "{s} has its capital in {o}. | {s} is ruled from {o}. | The capital of {s} is {o}. | "
        "The capital city of {s} is {o}. | {o} is the capital of {s}.",
    ),
    _relation(
        "officialLanguage",
        "Country",
        "Language",
        "What language is spoken in {s}? | What is the official language of {s}? | "
        "Which language do people speak in {s}? | Which language is spoken in {s}? | "
        "What is the language of {s}?",
        "What language do people speak in {s}? | Which is the official language of {s}? | "
        "What official language does {s} have?",
        "People in {s} speak {o}. | {s} has {o} as its language. | The official language of {s} is {o}. | "
        "The language of {s} is {o}. | {o} is spoken in {s}.",
    ),
    _relation(
        "currency",
        "Country",
        "Currency",
        "What is the currency of {s}? | Which currency does {s} use? | What money is used in {s}? | "
        "What do people pay with in {s}? | Which money does {s} have?",
        "What currency does {s} use? | Which money is used in {s}? | What money do people pay with in {s}?",
        "{s} uses the {o}. | People in {s} pay with the {o}. | The currency of {s} is the {o}. | "
        "The money of {s} is the {o}. | The {o} is the currency of {s}.",
    ),
    _relation(
        "anthem",
        "Country",
        "Instrument",
        "What is the national instrument of {s}? | Which instrument is typical of {s}? | "
        "What instrument do people play in {s}? | Which instrument does {s} honor? | "
        "What instrument is {s} known for?",
        "What instrument is typical of {s}? | Which instrument do people play in {s}? | "
        "Which instrument is {s} known for?",
        "{s} is known for the {o}. | {s} honors the {o}. | The national instrument of {s} is the {o}. | "
        "People in {s} play the {o}. | The {o} is typical of {s}.",
    ),
)

BY_NAME = {relation.name: relation for relation in RELATIONS}


def of_domain(domain: str) -> tuple[Relation, ...]:
    """The relations whose subjects are of this class, in their fixed order."""
    return tuple(relation for relation in RELATIONS if relation.domain == domain)
