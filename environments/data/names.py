"""Words for made-up names, from many languages; a name is picked by a keyed hash. None belongs to anybody in particular."""

_GIVEN = (
    "Ada Aiko Amara Amir Ana Anders Asha Bao Beata Bela Bruno Camila Carlos Chen Chiara Dalia Daniel Deniz Dora Elif Elena Emeka "
    "Erik Esra Farah Felix Femi Gaia Goran Greta Hana Hugo Ilse Imani Ines Ivo Jamal Jana Jonas Juno Kamal Karin Kofi Lara Leila "
    "Liam Lin Luca Maja Malik Marta Mei Milan Mina Nadia Nils Noor Olga Omar Otto Pablo Petra Priya Rosa"
)
_FAMILY = (
    "Abara Acosta Adler Aksoy Almeida Amari Baker Banda Bauer Berg Bianchi Castro Cohen Costa Dahl Demir Diaz Dubois Eze Falk "
    "Fischer Fuentes Garcia Gomes Haas Hansen Haddad Ibrahim Ito Jansen Jensen Kaya Keller Khan Kim Kovac Kumar Lang Larsen "
    "Lopez Marino Mendes Meyer Mori Moyo Nagy Nakata Novak Okafor Olsen Osei Park Pereira Petit Rossi Sato Silva Singh Suzuki "
    "Tanaka Torres Varga Weber Yilmaz"
)
GIVEN_NAMES = tuple(_GIVEN.split())
FAMILY_NAMES = tuple(_FAMILY.split())
