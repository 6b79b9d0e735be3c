"""
Which language a message shows by its own words, when that is certain: Spanish, English, or neither.

No model: a handful of words that one of the two languages has and the other has not. Whoever writes about danger in
Spanish is answered in Spanish; in doubt the operator's setting decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from service.danger_text import fold

# Frequent in Spanish, no words of English, and as far as possible none of Portuguese, Italian or French. Folded.
_SPANISH = """
el los las lo y mi mis su sus pero ya muy mucho mucha hijo hija hijos hermano hermana esposo esposa marido
mujer mama papa abuela abuelo novio novia amigo amiga nino nina bebe tio tia primo prima vecino pareja sobrino
hace hoy ayer anoche manana dias anos ahora estoy esta estan esto tengo tiene quiero quiere puedo puede voy va
soy fue hago hacer llamo dijo dice di tome tomo tomaron tomar trago bebio bebi beber comio metio deje dejo
dejar dejando llevo despierta despertar despierte respira respirar responde reacciona contesta mueve desmayo
desmaya pastilla pastillas sangre morir morirme morirse muero muriendo muerto matar matarme mate vivir
viviendo vida quitarme suicidarme miedo duele ayuda ayudame favor nadie nada todo que como cuanto cuantas
cuando donde cual hay hombre golpeo golpeando pega amenaza violaron obligan buscando estarian porque por para
con sin mejor dos tres un una unas unos desde despues de del al se le me te no ni casa forma carta odio
urgente tiembla bichos salir en
"""
# Words that prove nothing alone: English, Portuguese, French or Italian have them too.
_SHARED = """
me no te lo y respira esta mi al con por para se le que como un una del de en di papa mama ni va sin todo nada
mate tome forma carta casa urgente vida morir tres odio prima primo amigo amiga tio tia ayer vivir favor
"""
_ENGLISH = """
the and is are was were he she it they my his her their of to in on that this with for you your i im ive we
what how when who why wont cant dont isnt not have has had been just took want help please from after
"""
# So many different words, one of Spanish alone, and so many times the other language's words, make it certain.
_FEW = 2
_MOST_CHARS = 20_000
_TIMES = 3


def language_of(text: str) -> Literal["en", "es"] | None:
    """Return "es" or "en" where the words leave no doubt, else None; "despierta" alone leaves doubt."""
    words = fold(text[:_MOST_CHARS]).split()
    spanish, english = _among(words, _SPANISH), _among(words, _ENGLISH)
    own = set(spanish) - set(_SHARED.split())
    if own and len(set(spanish)) >= _FEW and len(spanish) >= _TIMES * len(english):
        return "es"
    if len(set(english)) >= _FEW and len(english) >= _TIMES * len(own):
        return "en"
    return None


def _among(words: Sequence[str], listed: str) -> list[str]:
    known = set(listed.split())
    return [word for word in words if word in known]
