"""Words that say little in a label, of the languages most labels are written in."""

from __future__ import annotations

STOP_WORDS = frozenset(
    """
    a about after all am an and any are as at be been before but by can could did do does for from get
    gets getting had has have how i if in into is it its many me more most my no nor not of off on one
    only or other our out over per so some than that the their them there these they this those through to
    too under until up upon us use used very via was we were what when where which who whom why will with
    without would you your
    aber als am an auch auf aus bei bin bis das dem den der des die doch durch ein eine einem einen einer
    eines er es für hat ich ihr im in ist kein keine man mein mich mir mit nach nicht noch nur oder sich
    sie sind so über um und uns unter vom von vor war was wenn werden wie wir wird zu zum zur
    au aux avec ce ces cette dans de des du elle en est et il ils je la le les leur ma mais mes mon ne
    nous on ou où par pas pour qu que qui sa sans se ses si son sont sur un une vous
    al como con cual cuando del donde el ella ellos esta este la las lo los más mi muy ni o para pero por
    porque qué quien sea ser si sin sobre su sus tiene tu un una uno unos y ya
    a ai al alla anche che chi ci come con da dal dei del della di e è fra gli ha i il in io la le lo ma
    nei nel nella non o per più quale se sono su sul tra un una
    ao aos as até com da das de do dos e é em entre essa esse isso já mais mas na nas nem no nos não num o
    os ou para pela pelo por quando sem seu sua são também um uma
    aan bij dan dat de die dit een en er het hij hoe ik in is je maar met mijn naar niet nog of om ook op
    te tot uit van voor waar wat we wel wie wordt zijn
    的 了 是 在 我 你 您 有 和 与 及 不 の は が を に へ と で も
    """.split()  # noqa: SIM905  # a list of quoted words is harder to read and to add to
)
