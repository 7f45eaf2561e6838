//! Where people write to a site: its log-in, its shop and its forms, as they are drawn.

use super::dice::Dice;
use super::route::Customs;
use super::site::Style;

/// The route by which people and programs log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Where the attempt is posted.
    pub path: String,
    /// Where the form is, if there is one.
    pub form: Option<String>,
    pub(super) failure: u16,
    pub(super) success: u16,
    pub(super) latency: f64,
    pub(super) payload: usize,
    pub(super) right: f64,
    pub(super) wrong: f64,
}

/// The routes by which people order and pay.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Where an item is reserved.
    pub basket: String,
    /// Where it is paid.
    pub payment: String,
    pub(super) reserved: u16,
    pub(super) taken: u16,
    pub(super) paid: u16,
    pub(super) declined: u16,
    pub(super) latency: f64,
    pub(super) bytes: f64,
    pub(super) payload: usize,
}

/// A form that people fill in now and then: to join, to write, to ask for a code, to redeem something.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it stands, if that is a page.
    pub page: Option<String>,
    /// Where it is sent.
    pub path: String,
    pub(super) taken: u16,
    pub(super) refused: u16,
    pub(super) latency: f64,
    pub(super) bytes: f64,
    pub(super) payload: usize,
}

/// Whether programs are meant to write here: on sites of data always, on mixed ones by chance.
fn for_programs(dice: &mut Dice, style: Style, share: f64) -> bool {
    style == Style::Api || (style == Style::Mixed && dice.chance(share))
}

impl Form {
    /// Draws one for a site of this style.
    pub(super) fn draw(dice: &mut Dice, style: Style, customs: &Customs) -> Self {
        let api = for_programs(dice, style, 0.5);
        let name = dice.pick(&[
            "signup",
            "register",
            "users",
            "contact",
            "comments",
            "reviews",
            "messages",
            "password/reset",
            "forgot-password",
            "otp/send",
            "verify/phone",
            "invitations",
            "newsletter",
            "vote",
            "vouchers/redeem",
            "gift-cards/balance",
            "coupons/apply",
        ]);
        let path = if api { format!("{}/{name}", customs.api_root()) } else { format!("/{name}") };
        Self {
            page: (style != Style::Api && dice.chance(0.7)).then(|| format!("/{name}")),
            path,
            taken: dice.pick(&[200, 200, 201, 202, 204, 302]),
            refused: dice.pick(&[200, 400, 404, 409, 422, 422]),
            latency: dice.spread(0.02, 1.5),
            bytes: dice.spread(40.0, 9000.0),
            payload: dice.magnitude(30, 2500),
        }
    }

    /// The size of what is sent, whoever sends it.
    pub fn payload(&self, dice: &mut Dice) -> u64 {
        (self.payload as f64 * dice.between(0.7, 1.4)) as u64
    }
}

impl Shop {
    /// Draws one for a site of this style.
    pub(super) fn draw(dice: &mut Dice, style: Style, customs: &Customs) -> Self {
        let api = for_programs(dice, style, 0.5);
        let (basket, payment) = if api {
            let root = customs.api_root();
            let basket =
                dice.pick(&["cart/items", "basket", "holds", "reservations", "order-lines"]);
            let payment = dice.pick(&[
                "payments",
                "checkout",
                "orders/pay",
                "charges",
                "donations",
                "orders",
            ]);
            (format!("{root}/{basket}"), format!("{root}/{payment}"))
        } else {
            let basket =
                dice.pick(&["/cart/add", "/basket", "/warenkorb", "/reserve", "/checkout/cart"]);
            let payment = dice.pick(&[
                "/checkout",
                "/checkout/payment",
                "/pay",
                "/kasse",
                "/donate",
                "/cart/finish",
            ]);
            (basket.to_owned(), payment.to_owned())
        };
        Self {
            basket,
            payment,
            reserved: dice.pick(&[200, 200, 201, 302, 303]),
            taken: dice.pick(&[409, 409, 422, 200, 410, 302]),
            paid: dice.pick(&[200, 201, 302, 303]),
            declined: dice.pick(&[402, 402, 400, 422, 200, 302]),
            latency: dice.spread(0.05, 1.5),
            bytes: dice.spread(60.0, 9000.0),
            payload: dice.magnitude(40, 1500),
        }
    }

    /// The size of what is sent, whoever sends it.
    pub fn payload(&self, dice: &mut Dice) -> u64 {
        (self.payload + dice.below(60)) as u64
    }
}

impl Login {
    /// Answers a wrong password as it answers a page.
    pub const fn hide_failures(&mut self) {
        self.failure = 200;
    }

    /// Draws one for a site of this style.
    pub(super) fn draw(dice: &mut Dice, style: Style, customs: &Customs) -> Self {
        let api = for_programs(dice, style, 0.4);
        let path = if api {
            let name = dice.pick(&[
                "auth/token",
                "login",
                "sessions",
                "auth/login",
                "oauth/token",
                "signin",
                "enter",
                "access",
            ]);
            format!("{}/{name}", customs.api_root())
        } else {
            dice.pick(&[
                "/login",
                "/signin",
                "/account/login",
                "/users/sign_in",
                "/session",
                "/wp-login.php",
                "/user/login",
                "/auth",
                "/member/logon.do",
                "/customer/account/loginPost",
                "/anmelden",
                "/j_security_check",
                "/portal/enter",
            ])
            .to_owned()
        };
        let form = (style != Style::Api && dice.chance(0.7))
            .then(|| if api { "/login".to_owned() } else { path.clone() });
        Self {
            form,
            failure: if api {
                dice.pick(&[401, 401, 401, 403, 400, 422])
            } else {
                dice.pick(&[401, 403, 200, 200, 302, 422])
            },
            success: if api {
                dice.pick(&[200, 200, 201])
            } else {
                dice.pick(&[302, 302, 303, 200])
            },
            path,
            latency: dice.spread(0.03, 0.8),
            payload: dice.magnitude(35, 900),
            right: dice.spread(50.0, 5000.0),
            wrong: dice.spread(40.0, 9000.0),
        }
    }
}
