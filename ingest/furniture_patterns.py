"""
The wording of furniture that a whole line has to match, by rule. Patterns alone; when they apply is ingest.furniture's.

Each is matched against one line or block with white space collapsed, case ignored, from its first to its last
character. Words that could stand alone in a health text ("no response", "older", "AD") must not match.
"""

from __future__ import annotations

MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
DATE = (
    rf"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?[,.]? )?(?:{MONTH} \d{{1,2}}(?:st|nd|rd|th)?,?"
    rf" \d{{4}}|\d{{1,2}}(?:st|nd|rd|th)?\.? {MONTH},? \d{{4}}|\d{{4}}-\d\d-\d\d|\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{4}})"
)
NAME = r"(?:(?:Dr|Prof|Mr|Mrs|Ms)\.? )?(?:[A-Z][\w'’.-]*)(?: (?:de |van |von |la |al-)?[A-Z][\w'’.-]*){1,3}"
CREDENTIALS = r"(?:,? (?:[A-Z][A-Za-z]{0,3}\.?){1,4}(?:, (?:[A-Z][A-Za-z.-]{1,6}))*)?"
NETWORKS = r"(?:facebook|twitter|x|instagram|linkedin|pinterest|whatsapp|reddit|tumblr|youtube|tiktok|telegram|e-?mail)"
ADDRESS = r"(?:(?:https?://|www\.)[^\s<>]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"

NAVIGATION = (
    r"skip to (?:main )?(?:content|navigation|search)",
    r"(?:back|return|go|scroll) to (?:the )?(?:top|home(?: ?page)?)(?: of (?:the )?page)?",
    r"(?:you are here:? ?)?home(?: ?[>›»/|→] ?[^>›»/|→.]{1,60}){1,6}",
    r"you are here:? .{1,120}",
    r"(?:main|site|primary|secondary|footer|mobile|toggle) (?:menu|navigation)",
    r"menu",
    r"toggle navigation",
    r"site ?map",
    r"contents",
    r"table of contents",
    r"on this page",
    r"in this (?:article|section)",
    r"jump to(?: section)?:?",
    r"quick links",
    r"page \d+ of \d+",
    r"(?:[«‹←<]+ ?)?(?:previous|prev|next)(?: (?:posts?|article|page|story|entry))?(?: ?[»›→>]+)?",
    r"(?:[«‹←<]+ ?)?(?:older|newer) (?:posts?|articles?|entries)(?: ?[»›→>]+)?",
    r"(?:[«‹←]|prev\w*|next)?[ |]*(?:\d{1,3}[ |…,.]+){1,12}\d{0,3}[ |]*(?:next|last|[»›→])+[ »›→]*(?:last)?",
    r"breaking news",
    r"top stories",
    r"latest news",
    r"most (?:popular|read|viewed)",
    r"trending(?: now)?",
    r"popular posts",
    r"recent (?:posts|comments)",
    r"categories",
    r"archives",
    r"all (?:posts|categories)",
    r"filed under:? .{1,80}",
    r"(?:tags|tagged): .{1,120}",
    r"posted in:? .{1,60}",
    r"privacy policy",
    r"terms (?:of (?:use|service)|(?:and|&) conditions)",
    r"contact us",
    r"about us",
    r"accessibility(?: statement)?",
)
WIDGET = (
    r"close(?: (?:menu|window|dialog|this))?",
    r"[x×✕✖]",
    r"loading(?:\.{3}|…)?",
    r"advertisements?",
    r"show (?:more|less|all)",
    r"(?:load|view|see|learn) more",
    r"view all",
    r"expand(?: all)?",
    r"collapse(?: all)?",
    r"submit",
    r"search(?: (?:this )?(?:site|website))?(?: for)?:?",
    r"cancel",
    r"ok",
    r"got it!?",
    r"(?:please )?enable javascript.{0,80}",
    r"javascript is (?:disabled|required).{0,80}",
    r"your browser does not support .{0,80}",
    r"(?:start|live|open) chat",
    r"chat (?:now|with us)",
    r"(?:log|sign) ?(?:in|out)",
    r"register",
    r"my account",
    r"\d+ views",
    r"click to (?:enlarge|expand|zoom)",
    r"was this (?:page|article|information) helpful\??(?: yes)?(?: ?/? no)?",
    r"rate this .{0,30}",
)
COMMENT_FORM = (
    r"(?:leave|post|add|write|submit) (?:a|your) (?:reply|comment|response)(?: cancel reply)?",
    r"cancel reply",
    r"join the (?:conversation|discussion)",
    r"your e-?mail(?: address)? will not be (?:published|shared)\b.{0,60}",
    r"required fields are marked.{0,5}",
    r"save my name,? e-?mail.{0,80}",
    r"notify me (?:of|about|when|by) .{0,60}",
    r"you must be (?:logged|signed) in to .{0,40}",
    r"(?:please )?(?:log|sign) in to (?:reply|comment|post).{0,20}",
    # Not "no response": it is a sign of overdose.
    r"(?:\d+|no|one) (?:comments?|replies)(?: (?:on|to) .{1,80})?",
    r"\d+ responses? to .{1,80}",
    r"\d+ thoughts? on .{1,100}",
    r"comments are (?:now )?closed\.?",
    r"(?:view|show|hide|see) (?:all )?(?:\d+ )?comments",
    r"comments? \(\d+\)",
    r"be the first to comment.?",
    r"this site uses akismet.*",
)
SHARING = (
    r"(?:share|tweet|print|pin|pin it|e-?mail)(?: (?:this|the)(?: (?:page|article|post|story))?)?:?",
    (
        r"(?:share|tweet|pin|post|save|send|like|follow|find|join|connect|visit|watch|e-?mail)"
        r"(?: (?:this|the|us|me|with|page|article|post|story|on|via|by|to|using|at)){0,5}"
        rf" {NETWORKS}(?:[ ,|/&]+(?:and )?{NETWORKS}){{0,8}}[.!]?"
    ),
    rf"share(?: this)?:? {NETWORKS}(?:[ ,|/&]+(?:and )?(?:{NETWORKS}|print|more)){{0,8}}",
    rf"{NETWORKS}(?:[ ,|/&]+{NETWORKS}){{1,6}}",
    r"(?:print|e-?mail|save|download|bookmark) (?:this|the) (?:page|article|post|story)",
    r"printer?[- ]friendly.{0,30}",
    r"(?:send|e-?mail) (?:this )?to a friend",
    r"follow us",
    r"copy link",
    r"click to share.*",
)
DATELINE = (
    (
        r"(?:(?:first |originally )?(?:published|posted|updated|created|added|modified|reviewed"
        r"|(?:page )?last (?:updated|reviewed|modified|medically reviewed))(?: date| on| at)?:? )?"
        rf"{DATE}(?:,? (?:at )?\d{{1,2}}:\d\d ?(?:[ap]\.?m\.?)?(?: [a-z]{{2,4}})?)?"
        r"(?: ?[|·•,–—-] ?(?:\d+ min(?:ute)?s? read|\d+ comments?))?(?: ?[|·•] ?[\w ]{1,20})?(?: by [\w.'’ -]{1,40})?"
    ),
    r"\d+[ -]min(?:ute)?s? read",
)
COPYRIGHT = (
    r"(?:©|\(c\)|copyright|&copy;)[ :]*(?:©|\(c\))? ?(?:\d{4}|by\b).{0,160}",
    r"(?:.{0,120}[.,;|] ?)?all rights reserved\.?(?: .{0,80})?",
)
BARE_LINK = (
    (
        r"(?:(?:e-?mail|web(?: ?site| ?page)?|url|link|source|available (?:at|from)|visit(?: us at)?|retrieved from"
        rf"|permalink)[: ]+)?<?{ADDRESS}>?(?:[ ,;|]+(?:and )?<?{ADDRESS}>?){{0,6}}\.?"
    ),
)
IMAGE_CREDIT = (
    (
        r"[(\[]?(?:photo(?:graph)?|image|picture)s?(?: (?:credits?|source))?(?: ?:| courtesy(?: of)?| by| ©) ?"
        r"(?-i:[A-Z©])[^.!?]{1,80}[)\]]?\.?"
    ),
    r"(?:photo|image|picture) credits?",
    r"[(\[](?:getty|shutterstock|istock|unsplash|reuters|ap photo)[^)\]]{0,60}[)\]]",
    r"(?:getty images|shutterstock|istock(?:photo)?|unsplash)(?: ?/ ?[\w ]{1,40})?",
)
NEWSLETTER = (
    (
        r"(?:sign up|subscribe|register)(?: here| now| today)?(?: (?:to|for))? ?(?:receive|get)?"
        r" ?(?:our|the|free|weekly|monthly|a)?\b.{0,60}"
        r"\b(?:newsletters?|updates|inbox|mailing list|e-?mails?|alerts|news)\b.{0,40}"
    ),
    r"subscribe(?: now| today)?[.!]?",
    r"join our (?:mailing|e-?mail|newsletter) ?list.{0,40}",
    r"enter your e-?mail.{0,80}",
    r"(?:get|receive) .{0,80}\bto your inbox\b.{0,10}",
    r"newsletter(?: sign-?up)?",
    r"e-?mail address:?",
)
TEMPLATE_FIELD = (
    (
        r"(?:\{\{[^{}]*\}\}|\{%[^{}]*%\}|%%\w+%%|<\?[^?]*\?>|<%[^%]*%>|\$\{[^{}]*\}|\[(?:your|insert)\b[^\]]{1,60}\]"
        r"|\[/?\w+(?: \w+=[^\s\]]+)+\]|[ ,:|/–-])+"
    ),
    r"lorem ipsum.{0,400}",
)
# Case matters here: it tells names from words.
BYLINE = (
    r"(?:[Bb]y|BY|(?i:written|posted|edited|authored|reported|updated|(?:medically |clinically |fact[- ])?"
    r"(?:reviewed|checked)) by|(?i:authors?|reviewers?|editor):)"
    rf" {NAME}{CREDENTIALS}(?:(?:,| and| &) {NAME}{CREDENTIALS}){{0,4}}(?:[ ,|·•–—-]+(?i:(?:on )?{DATE}))?"
)
_PAGES = (
    r"(?:articles?|posts?|stor(?:y|ies)|news|headlines|reading|reads|content|topics?|pages?|episodes?|videos?|podcasts?"
    r"|links?|products?|items?|blogs?|entries|publications|searches|categories|sections|resources|issues?)"
)
CONTENTS_HEADING = (
    r"(?:table of )?contents",
    r"(?:on|in) this (?:page|article|section|chapter|guide|issue|post|topic|document)",
    r"jump to(?: section)?",
    r"quick links",
)
# Headings that announce other pages. Each counts only above a list of nothing but links, or where it stands alone.
# Not "related symptoms", "recommended clinics", "most popular treatments": what they list is content.
LINKS_HEADING = (
    *CONTENTS_HEADING,
    (
        r"(?:you|people|readers|visitors|customers|others|users)(?:[’']ll| who \w+(?: \w+){0,3})?"
        r" ?(?:may|might|could|also)?(?: also)? (?:like|love|enjoy|be interested in|want to (?:read|see)|viewed|bought"
        r"|read|liked|ordered|searched for)(?: this| these)?"
    ),
    r"(?:frequently|often) (?:bought|viewed|read) together",
    (
        r"(?:(?:our|the|your|from our|from the|other|more|some|all) ){0,2}(?:related|similar|recommended|featured"
        r"|popular|recent|latest|other|more|trending|suggested|further|new|top|previous|associated|editor[’']?s)"
        rf" {_PAGES}(?: (?:you|we) [\w ]{{3,30}}| for you| in [\w ]{{3,20}}| from [\w ]{{3,30}})?"
    ),
    r"most (?:read|popular|viewed|shared|commented|e-?mailed|clicked|discussed)(?: (?:now|today|this week|stories))?",
    r"(?:popular|trending|hot|new|featured)(?: right)? (?:now|today|this week|on [\w ]{3,20})",
    r"more (?:from [^.?!]{2,40}|in (?:this|our) [\w ]{2,30})",
    r"more like this|more to (?:read|explore)|keep (?:reading|exploring)|continue reading|further reading",
    rf"(?:explore|discover|see|read|learn|find out|browse) more(?: (?:about|on|from|in|of) [\w ]{{3,30}}| {_PAGES})?",
    r"(?:what to )?read (?:this )?next|up next|next up|don[’']t miss(?: this| these)?|in case you missed it",
    r"see also|read also|also read|also of interest|recommended(?: for you)?|related",
    r"elsewhere on (?:the|this) (?:site|web)",
    r"(?:tags|topics|categories|archives|blogroll|site ?map|editor[’']s (?:picks?|choice))",
)
# In front of links alone: "See also: A | B", "Tags: a, b".
LINKS_LEAD = (
    (
        r"(?:more like this|(?:also )?read(?: also| more| next| this)?|(?:keep|continue|further) reading"
        rf"|see (?:also|more)|related(?: {_PAGES})?|recommended(?: for you| reading)?|(?:up )?next(?: up)?"
        r"|prev(?:ious)?|trending|popular now|you (?:may|might) (?:also )?(?:like|enjoy)|don[’']t miss"
        r"|in case you missed it|more (?:on|about|from) [^:.]{1,40}"
        r"|in this series|topics?|tags?|categor(?:y|ies)|labels?|keywords?"
        r"|sections?)"
        r"(?:\s*:|\s+[–—-]\s)\s*"
    ),
    r"(?:tagged|filed|posted|published|categori[sz]ed)(?: (?:in|under|with|as))?\s*:?\s+(?=\S)",
)
_N = r"(?:no|one|\d[\d,.]*k?)"
# What stands beside an entry: when, by whom, in which part of the site, how many have answered.
ENTRY_META = (
    (
        r"(?:posted|published|submitted|written|filed|added|created|updated|uploaded)"
        rf"(?: (?:by|on|at) [\w.@'’ -]{{1,40}}?)?,?(?: on| at|:)? {DATE}"
        r"(?:,? (?:at |@ ?)?\d{1,2}:\d\d ?(?:[ap]\.?m\.?)?)?"
        r"(?: (?:in|under|by|to) [^.!?|]{1,60})?(?: [|·•] .{1,40})?"
    ),
    r"this (?:entry|post|article) was (?:posted|published|written|filed)\b.{0,250}",
    rf"{DATE}[ ,|·•–—-]+(?:breaking news|(?:latest|today[’']s) (?:news|headlines|paper|edition)|top stories)",
    rf"(?:breaking news|(?:latest|today[’']s) (?:news|headlines|paper|edition)|top stories)[ ,|·•–—-]+{DATE}",
    rf"{_N} (?:comments?|repl(?:y|ies))(?: yet| so far)?",
    (
        r"(?:story|article|text|post|page|content|interview) continues (?:below|after|beneath|under)"
        r"(?: (?:the |this )?(?:ad(?:vert\w*)?|video|photo|gallery|image|promo\w*|newsletter)s?)?"
    ),
    r"(?:you are |you[’']re )?(?:the )?visitor (?:number|no\.?|#|count(?:er)?:?) ?[\d,]+\.?",
    r"(?:estimated )?read(?:ing)? time:? (?:about )?\d+ min(?:ute)?s?",
    r"best viewed (?:in|with|at|on) .{2,60}",
)
# Only beside others in a row, where bars part them.
ROW_PART = (
    rf"{_N} (?:comments?|replies|responses?|views?|likes?|shares?|votes?|points?|reads)(?: yet)?",
    (
        r"(?:about|about us|accessibility|advertise(?: with us)?|alerts|archives?|careers|cite|contact(?: us)?|cookies"
        r"|disclaimer|donate(?: now)?|download|edit|e-?mail|faqs?|feedback|feeds?|full text|help|hide|home|imprint|jobs"
        r"|legal(?: notice)?|like|log ?in|log ?out|newsletter|next|pdf|permalink|press|prev(?:ious)?|print|privacy"
        r"(?: (?:policy|notice|statement))?|quote|register|reply|report(?: (?:this|post|abuse))?|rss|save|search|share"
        r"|sign ?(?:in|out|up)|site ?map|subscribe|terms(?: (?:of use|of service|(?:and|&) conditions))?|top|tweet"
        r"|back to top|volunteer|unsubscribe)"
    ),
    r"by (?:the )?(?-i:[A-Z])[^.|]{2,60}",
    r"(?:take|try|start) (?:our|the|this|a)(?: [\w-]+){0,3} (?:quiz|poll|survey)",
)
AGE = (
    r"(?:about |over )?(?:\d+|an?) ?(?:mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?|months?|y|yrs?|years?)"
    r"(?: ago)?"
)
