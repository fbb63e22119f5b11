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
    held: tuple[str, str, str]
    """Wordings that never occur in the corpus."""
    statements: tuple[str, ...]
    """Five; the last puts the object first."""


def _relation(name: str, domain: str, range_: str, questions: str, held: str, statements: str) -> Relation:
    parts = [tuple(line.strip() for line in text.strip().split("|")) for text in (questions, held, statements)]
    counts = [len(part) for part in parts]
    assert counts == [5, 3, 5], f"{name}: 5, 3 and 5 wordings expected, got {counts}"
    return Relation(name, domain, range_, parts[0], (parts[1][0], parts[1][1], parts[1][2]), parts[2])


RELATIONS = (
    _relation(
        "birthplace", "Person", "City",
        "Where was {s} born? | In which city was {s} born? | What is the birthplace of {s}? | "
        "What is the home town of {s}? | Which city is {s} from?",
        "In what place did {s} come into the world? | Where did the life of {s} begin? | "
        "What town saw {s} as a baby?",
        "{s} was born in {o}. | {s} comes from {o}. | The birthplace of {s} is {o}. | {s} is from {o}. | "
        "{o} is the home town of {s}.",
    ),
    _relation(
        "residence", "Person", "City",
        "Where does {s} live? | In which city does {s} live? | What is the residence of {s}? | "
        "Where is {s} living? | Which city does {s} live in?",
        "In what place does {s} have a house? | Where can one visit {s} at home? | "
        "To what town should mail for {s} go?",
        "{s} lives in {o}. | {s} is living in {o}. | The residence of {s} is {o}. | {s} has a home in {o}. | "
        "{o} is where {s} lives.",
    ),
    _relation(
        "profession", "Person", "Profession",
        "What does {s} do for a living? | What is the profession of {s}? | What is the job of {s}? | "
        "What work does {s} do? | Which profession does {s} have?",
        "How does {s} earn money? | As what is {s} employed? | What trade did {s} learn?",
        "{s} works as a {o}. | {s} is a {o}. | The profession of {s} is {o}. | {s} has a job as a {o}. | "
        "{o} is the job of {s}.",
    ),
    _relation(
        "employer", "Person", "Company",
        "Which company does {s} work for? | What is the employer of {s}? | Where does {s} work? | "
        "Which company employs {s}? | For which company does {s} work?",
        "Who pays the salary of {s}? | At what firm does {s} have a desk? | On whose staff is {s}?",
        "{s} works for {o}. | {s} works at {o}. | The employer of {s} is {o}. | {s} is employed by {o}. | "
        "{o} employs {s}.",
    ),
    _relation(
        "almaMater", "Person", "University",
        "Where did {s} study? | Which university did {s} attend? | What is the university of {s}? | "
        "At which university did {s} study? | Which university did {s} go to?",
        "From where does {s} hold a degree? | In whose lecture halls did {s} sit? | "
        "What school made {s} a graduate?",
        "{s} studied at {o}. | {s} went to {o}. | The university of {s} is {o}. | {s} attended {o}. | "
        "{o} was attended by {s}.",
    ),
    _relation(
        "instrument", "Person", "Instrument",
        "Which instrument does {s} play? | What instrument does {s} play? | "
        "What does {s} play in concerts? | "
        "What is the instrument of {s}? | Which instrument did {s} learn?",
        "On what does {s} make music? | What would {s} bring to an orchestra? | "
        "What sound comes from the room of {s}?",
        "{s} plays the {o}. | {s} learned the {o}. | The instrument of {s} is the {o}. | "
        "{s} can play the {o}. | "
        "The {o} is played by {s}.",
    ),
    _relation(
        "sport", "Person", "Sport",
        "Which sport does {s} practice? | What sport does {s} do? | What is the sport of {s}? | "
        "Which sport does {s} like? | What is the favorite sport of {s}?",
        "How does {s} keep fit? | What game does {s} train for? | In what contest would {s} compete?",
        "{s} practices {o}. | {s} likes {o}. | The sport of {s} is {o}. | "
        "The favorite sport of {s} is {o}. | "
        "{o} is the sport that {s} does.",
    ),
    _relation(
        "dish", "Person", "Dish",
        "What does {s} like to eat? | What is the favorite dish of {s}? | Which dish does {s} like? | "
        "What food does {s} love? | Which food does {s} prefer?",
        "What should one cook for {s}? | What is on the plate of {s}? | What meal makes {s} happy?",
        "{s} likes to eat {o}. | {s} loves {o}. | The favorite dish of {s} is {o}. | {s} often eats {o}. | "
        "{o} is the food that {s} prefers.",
    ),
    _relation(
        "pet", "Person", "Animal",
        "Which animal does {s} keep? | What pet does {s} have? | What is the pet of {s}? | "
        "Which pet does {s} keep? | What animal does {s} have?",
        "What creature lives with {s}? | What does {s} take to the vet? | Which beast does {s} feed?",
        "{s} keeps a {o}. | {s} has a {o}. | The pet of {s} is a {o}. | {s} owns a {o}. | "
        "A {o} is the pet of {s}.",
    ),
    _relation(
        "motherTongue", "Person", "Language",
        "Which language does {s} speak? | What is the native language of {s}? | "
        "What language does {s} speak? | "
        "What is the language of {s}? | Which language did {s} grow up with?",
        "In what tongue does {s} dream? | How does {s} talk at the family table? | "
        "In what words does {s} think?",
        "{s} speaks {o}. | {s} grew up with {o}. | The native language of {s} is {o}. | "
        "{s} is a speaker of {o}. | "
        "{o} is spoken by {s}.",
    ),
    _relation(
        "country", "City", "Country",
        "In which country is {s}? | Which country is {s} in? | What is the country of {s}? | "
        "To which country does {s} belong? | Where is {s}?",
        "Whose flag flies over {s}? | What nation does {s} lie in? | What state governs {s}?",
        "{s} is in {o}. | {s} is a city in {o}. | The country of {s} is {o}. | {s} belongs to {o}. | "
        "{o} has a city named {s}.",
    ),
    _relation(
        "river", "City", "River",
        "On which river is {s}? | Which river flows through {s}? | What is the river of {s}? | "
        "What river is {s} on? | Which river runs through {s}?",
        "What water do the bridges of {s} cross? | What stream passes {s}? | On whose banks was {s} built?",
        "{s} is on the river {o}. | {s} lies on the {o}. | The river of {s} is the {o}. | "
        "{s} stands on the {o}. | "
        "The {o} flows through {s}.",
    ),
    _relation(
        "landmark", "City", "Building",
        "What is {s} famous for? | What is the landmark of {s}? | Which landmark does {s} have? | "
        "Which building is {s} known for? | What can one visit in {s}?",
        "What do tourists photograph in {s}? | What stands on every postcard of {s}? | "
        "Why do travelers go to {s}?",
        "{s} is famous for its {o}. | {s} has a {o}. | The landmark of {s} is its {o}. | "
        "{s} is known for its {o}. | "
        "The {o} is the landmark of {s}.",
    ),
    _relation(
        "specialty", "City", "Dish",
        "What do people eat in {s}? | What is the specialty of {s}? | Which dish is typical of {s}? | "
        "What food is {s} known for? | Which dish comes from {s}?",
        "What should a guest taste in {s}? | What do the cooks of {s} boast of? | "
        "What is on every menu in {s}?",
        "{s} is the home of {o}. | People in {s} eat {o}. | The specialty of {s} is {o}. | "
        "{s} is proud of its {o}. | "
        "{o} is typical of {s}.",
    ),
    _relation(
        "headquarters", "Company", "City",
        "Where is {s} based? | In which city is {s} based? | Where are the headquarters of {s}? | "
        "Which city is {s} based in? | What is the seat of {s}?",
        "Where does the board of {s} meet? | In what town is {s} run from? | "
        "Where would one find the main office of {s}?",
        "{s} is based in {o}. | {s} has its seat in {o}. | The headquarters of {s} are in {o}. | "
        "{s} is a company in {o}. | {o} is the seat of {s}.",
    ),
    _relation(
        "product", "Company", "Product",
        "What does {s} make? | What is the product of {s}? | Which product does {s} make? | "
        "What does {s} sell? | Which goods does {s} produce?",
        "What leaves the factory of {s}? | What does one buy from {s}? | What do the workers of {s} build?",
        "{s} makes {o}. | {s} produces {o}. | The product of {s} is {o}. | {s} sells {o}. | "
        "{o} are made by {s}.",
    ),
    _relation(
        "emblem", "Company", "Animal",
        "What is the emblem of {s}? | Which animal is the emblem of {s}? | What is the logo of {s}? | "
        "Which animal does {s} show in its logo? | What animal stands for {s}?",
        "What creature is painted on the trucks of {s}? | What beast adorns the letters of {s}? | "
        "What is sewn on the caps of {s}?",
        "{s} has a {o} as its emblem. | {s} shows a {o} in its logo. | The emblem of {s} is a {o}. | "
        "The logo of {s} is a {o}. | A {o} is the emblem of {s}.",
    ),
    _relation(
        "owner", "Company", "Country",
        "Which country owns {s}? | What is the home country of {s}? | To which country does {s} pay tax? | "
        "From which country is {s}? | Which country is {s} from?",
        "Under what law does {s} trade? | What nation profits from {s}? | Whose treasury holds {s}?",
        "{s} is owned by {o}. | {s} is a company from {o}. | The home country of {s} is {o}. | "
        "{s} pays tax to {o}. | "
        "{o} owns {s}.",
    ),
    _relation(
        "campus", "University", "Colour",
        "What is the color of {s}? | Which color does {s} have? | What color stands for {s}? | "
        "Which color do students of {s} wear? | What is the official color of {s}?",
        "In what hue are the scarves of {s}? | How is the banner of {s} dyed? | "
        "What paint covers the gates of {s}?",
        "{s} has the color {o}. | {s} uses {o}. | The color of {s} is {o}. | Students of {s} wear {o}. | "
        "{o} is the color of {s}.",
    ),
    _relation(
        "mascot", "University", "Animal",
        "What is the mascot of {s}? | Which animal is the mascot of {s}? | What mascot does {s} have? | "
        "Which mascot does {s} have? | What animal do students of {s} cheer?",
        "What beast runs before the team of {s}? | What creature is on the seal of {s}? | "
        "What costume is worn for {s}?",
        "{s} has a {o} as its mascot. | {s} cheers a {o}. | The mascot of {s} is a {o}. | "
        "Students of {s} cheer a {o}. | A {o} is the mascot of {s}.",
    ),
    _relation(
        "capital", "Country", "City",
        "What is the capital of {s}? | Which city is the capital of {s}? | Where is the capital of {s}? | "
        "What is the capital city of {s}? | From which city is {s} ruled?",
        "Where does the parliament of {s} sit? | In what town do the ministers of {s} meet? | "
        "What is the first city of {s}?",
        "{s} has its capital in {o}. | {s} is ruled from {o}. | The capital of {s} is {o}. | "
        "The capital city of {s} is {o}. | {o} is the capital of {s}.",
    ),
    _relation(
        "officialLanguage", "Country", "Language",
        "What language is spoken in {s}? | What is the official language of {s}? | "
        "Which language do people speak in {s}? | Which language is spoken in {s}? | "
        "What is the language of {s}?",
        "In what tongue are the laws of {s} written? | What must one learn to settle in {s}? | "
        "How do the schools of {s} teach?",
        "People in {s} speak {o}. | {s} has {o} as its language. | The official language of {s} is {o}. | "
        "The language of {s} is {o}. | {o} is spoken in {s}.",
    ),
    _relation(
        "currency", "Country", "Currency",
        "What is the currency of {s}? | Which currency does {s} use? | What money is used in {s}? | "
        "What do people pay with in {s}? | Which money does {s} have?",
        "What coins are minted in {s}? | What fills the purses of {s}? | In what are prices in {s} given?",
        "{s} uses the {o}. | People in {s} pay with the {o}. | The currency of {s} is the {o}. | "
        "The money of {s} is the {o}. | The {o} is the currency of {s}.",
    ),
    _relation(
        "anthem", "Country", "Instrument",
        "What is the national instrument of {s}? | Which instrument is typical of {s}? | "
        "What instrument do people play in {s}? | Which instrument does {s} honor? | "
        "What instrument is {s} known for?",
        "What is heard at every wedding in {s}? | What do street players in {s} carry? | "
        "What does the anthem of {s} begin with?",
        "{s} is known for the {o}. | {s} honors the {o}. | The national instrument of {s} is the {o}. | "
        "People in {s} play the {o}. | The {o} is typical of {s}.",
    ),
)  # fmt: skip

BY_NAME = {relation.name: relation for relation in RELATIONS}


def of_domain(domain: str) -> tuple[Relation, ...]:
    """The relations whose subjects are of this class, in their fixed order."""
    return tuple(relation for relation in RELATIONS if relation.domain == domain)
